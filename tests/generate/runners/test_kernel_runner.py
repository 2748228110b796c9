"""The runner on our own kernels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from penjing.core.errors import GenerationError
from penjing.generate.runners.kernel_runner import KernelRunner
from penjing.generate.runners.runner import Chunk
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.kernels.features import candidates, isa
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path: Path = tmp_path_factory.mktemp("model") / "tiny"
    tokenizer = train_tokenizer(["a small text to begin with"], TokenizerConfig(vocab_size=270))
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layer=2, n_embd=64, context_length=64)
    torch.manual_seed(0)
    return save_checkpoint(path, model=build_model(config.resolve()), tokenizer=tokenizer)


def test_it_computes_as_torch_does(checkpoint: Checkpoint) -> None:
    kernels = KernelRunner.load(checkpoint, isa(candidates()[0]), threads=2)
    plain = TorchRunner(checkpoint.load_model())
    assert kernels.exact
    assert "kernels" in kernels.name
    texts, pasts = [[1, 2, 3, 4], [5, 6]], [kernels.new_past(10), kernels.new_past(32)]
    chunks = [Chunk(past, ids, 2) for past, ids in zip(pasts, texts, strict=True)]
    for got, ids in zip(kernels.forward(chunks), texts, strict=True):
        (wanted,) = plain.forward([Chunk(plain.new_past(10), ids, 2)])
        np.testing.assert_allclose(got.logits, wanted.logits, atol=1e-4)
    assert [past.length for past in pasts] == [4, 2]
    with pytest.raises(GenerationError, match="KernelCache"):
        kernels.forward([Chunk(plain.new_past(10), [1])])
    kernels.close()
    with pytest.raises(GenerationError, match="closed"):
        kernels.forward([Chunk(pasts[0], [1])])


def test_memory_of_a_past_is_known(checkpoint: Checkpoint) -> None:
    kernels = KernelRunner.load(checkpoint, isa(candidates()[0]), threads=1)
    past = kernels.program.new_cache(3 * kernels.block)
    assert past.n_bytes == 3 * kernels.block * kernels.bytes_per_token
    assert kernels.program.n_bytes > 4 * sum(
        p.numel() for p in checkpoint.load_model().parameters()
    )
    kernels.close()
