"""A model to go on from, whatever its form."""

from pathlib import Path

import pytest
import torch

from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.gguf.writer import write_gguf
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import PretrainConfig, StartConfig
from penjing.train.parent import begin


@pytest.fixture
def directory(tmp_path: Path) -> Checkpoint:
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layer=1, n_embd=32, head_dim=32)
    lineage = (Lineage("pretrain"),)
    model = build_model(config)
    return save_checkpoint(tmp_path / "model", model=model, tokenizer=tokenizer, lineage=lineage)


@pytest.mark.parametrize("scheme", ["F32", "Q8_0"])
def test_a_gguf_file(directory, tmp_path, scheme):
    """Quantized weights are trained on as the numbers that they stand for."""
    write_gguf(directory, tmp_path / "m.gguf", scheme)
    parent = begin(PretrainConfig(start=StartConfig(model=str(tmp_path / "m.gguf"))))
    model = parent.model(device=torch.device("cpu"), dtype=torch.float32)
    wanted = GgufCheckpoint.open(tmp_path / "m.gguf").load_model().state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert parent.origin.parent == GgufCheckpoint.open(tmp_path / "m.gguf").digest
    assert parent.origin.lineage == directory.lineage
    assert parent.vocabulary.tokenizer.encode("hello") == directory.tokenizer.encode("hello")
