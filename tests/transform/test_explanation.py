"""Tensors are found by a part of their name, and explained as (outputs, inputs)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from penjing.core.errors import ConfigError
from penjing.model.checkpoint import Checkpoint
from penjing.model.compressed_saving import linear_names
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer
from penjing.transform.explanation import explain_tensor, find_tensor, matrix

NAMES = [f"model.layers.{n}.{part}.weight" for n in (1, 10) for part in ("up", "down")]
BYTES = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))


def saved(folder: Path, family: FamilyName, n_embd: int = 64) -> Checkpoint:
    model = build_model(ModelConfig(family=family, vocab_size=257, n_layer=1, n_embd=n_embd))
    return save_checkpoint(folder / "m", model=model, tokenizer=BYTES)


@pytest.mark.parametrize(
    "wanted", ["model.layers.1.up.weight", "model.layers.1.up", "layers.1.up", "1.up"]
)
def test_a_part_of_the_name_is_enough(wanted: str) -> None:
    assert find_tensor(NAMES, wanted) == "model.layers.1.up.weight"


def test_several_or_none() -> None:
    with pytest.raises(ConfigError, match=r"2 tensors go by 'up': model\.layers\.1\.up.*Name one"):
        find_tensor(NAMES, "up")
    with pytest.raises(ConfigError, match=r"no tensor 'modle.layers.10.down'. Did you mean 'model"):
        find_tensor(NAMES, "modle.layers.10.down")


def test_as_the_layer_multiplies_it(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, "gpt2")
    model = checkpoint.load_model()
    ours = model.get_submodule("layers.0.attention.qkv").weight
    w = matrix(checkpoint, "transformer.h.0.attn.c_attn.weight")
    assert np.array_equal(w, ours.numpy()) and w.shape == (192, 64)


def test_the_story_leaves_out_what_does_not_fit(tmp_path: Path) -> None:
    found = explain_tensor(saved(tmp_path, "llama", 48), "q_proj")  # rows that 32 does not divide
    names = [rounded.scheme for rounded in found.rounded]
    assert names == ["int8-tensor", "int8", "uint8", "int4-tensor", "int4"]


def test_what_is_quantized_already(tmp_path: Path) -> None:
    plain = saved(tmp_path, "qwen3")
    names = linear_names(plain.config)
    tensors = {n: quantize(matrix(plain, n), SCHEMES["int4-g32"], name=n) for n in names}
    checkpoint = save_checkpoint(
        tmp_path / "q", model=plain.load_model(), tokenizer=BYTES, quantized=tensors
    )
    again = explain_tensor(checkpoint, "layers.0.mlp.down_proj", [SCHEMES["int4-g32"]])
    assert again.rounded[0].error.rms < 1e-8  # it lies on the grid already
    assert again.weights.stored == "int4-g32"
    before = explain_tensor(plain, "layers.0.mlp.down_proj", [SCHEMES["int4-g32"]])
    assert before.rounded[0].error.rms > 1e-4 and before.weights.stored == ""
    assert torch.isfinite(torch.tensor(before.weights.kurtosis))
