"""Quantized checkpoints as compressed-tensors: its own code and transformers are the judges."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.model.compressed import (
    BYTES,
    DOWN,
    Q_PROJ,
    foreign,
    logits,
    make,
    quantized_by,
    same,
    saved,
    tensors_of,
)
from transformers import AutoModelForCausalLM

from penjing.model.checkpoint import Checkpoint
from penjing.model.saving import save_checkpoint
from penjing.model.tensors import to_tensor
from penjing.quantization.floats import FloatName
from penjing.quantization.tensor import QuantizedTensor


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)


@pytest.mark.parametrize("name", ["int8", "uint8-g32", "int4-g32", "int4-asym", "int4-g32-mse"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_is_read_is_what_was_written(tmp_path: Path, name: str, dtype: FloatName) -> None:
    model = make(dtype=getattr(torch, dtype))
    quantized = quantized_by(model, lambda _: name, dtype)
    checkpoint = saved(tmp_path, model, quantized)
    weights = checkpoint.weights()
    assert set(weights) == set(tensors_of(model)) and len(weights) == len(list(weights))
    for tensor_name, tensor in quantized.items():
        same(weights[tensor_name], tensor)
    on_disk = load_file(checkpoint.path / "model.safetensors")
    assert on_disk[f"{Q_PROJ}.weight_scale"].dtype == getattr(torch, dtype)
    assert f"{Q_PROJ}.weight" not in on_disk
    loaded = checkpoint.load_model()
    assert loaded.embedding.weight.dtype == getattr(torch, dtype)
    down = loaded.get_submodule("layers.1.feed_forward.down").weight
    expected = torch.from_numpy(quantized[f"{DOWN}.weight"].dequantize())
    assert torch.equal(down, expected.to(down.dtype))


@pytest.mark.parametrize("name", ["int8", "int8-tensor", "uint8", "int4-g32", "int4-asym-g32"])
def test_transformers_computes_the_same(tmp_path: Path, name: str) -> None:
    model = make()
    ours = saved(tmp_path, model, quantized_by(model, lambda _: name)).load_model()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval()
    assert torch.allclose(logits(ours), logits(theirs), atol=1e-5)
    assert not torch.allclose(logits(ours), logits(model), atol=1e-3)


@pytest.mark.parametrize("name", ["int4-g32", "int4-asym-g32"])
def test_llama_with_a_quantized_head_and_bfloat16_scales(tmp_path: Path, name: str) -> None:
    model = make("llama", torch.bfloat16)  # the head has 257 rows, no multiple of 8
    quantized = quantized_by(model, lambda _: name, "bfloat16")
    assert "lm_head.weight" in quantized
    saved(tmp_path, model, quantized)
    checkpoint = Checkpoint.open(tmp_path / "m")
    ours = checkpoint.load_model(dtype=torch.float32)
    if "asym" in name:  # dequantized in the precision of the scales
        ours = checkpoint.load_model().float()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32).eval()
    assert torch.allclose(logits(ours), logits(theirs), atol=1e-5)


def test_several_schemes_and_some_left_as_they_are(tmp_path: Path) -> None:
    def choose(name: str) -> str:
        if "layers.0.mlp" in name or "o_proj" in name:
            return "keep"
        return "int8" if "down" in name else "int4-g32"

    model = make()
    checkpoint = saved(tmp_path, model, quantized_by(model, choose))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval()
    assert torch.allclose(logits(checkpoint.load_model()), logits(theirs), atol=1e-5)
    entry = json.loads((checkpoint.path / "config.json").read_text())["quantization_config"]
    assert [g["weights"]["num_bits"] for g in entry["config_groups"].values()] == [4, 8]
    assert "lm_head" in entry["ignore"] and "model.layers.0.mlp.up_proj" in entry["ignore"]
    assert all("Linear" not in g["targets"] for g in entry["config_groups"].values())


def test_what_is_kept_is_listed(tmp_path: Path) -> None:
    model = make()
    checkpoint = saved(
        tmp_path, model, quantized_by(model, lambda n: "keep" if "o_proj" in n else "int8")
    )
    quantization = checkpoint.quantization
    assert quantization is not None and quantization.method == "compressed-tensors"
    assert set(quantization.schemes.values()) == {"int8"} and not quantization.activations
    assert quantization.described == "compressed-tensors: 12 int8, 12 F32"
    assert quantization.kept["model.embed_tokens.weight"] == "F32"
    assert quantization.kept["model.layers.0.self_attn.o_proj.weight"] == "F32"
    assert set(quantization.kept) | set(quantization.schemes) == set(checkpoint.weights())
    notes = json.loads((checkpoint.path / "penjing.json").read_text())["quantization"]
    assert sorted(notes["schemes"]["int8"]) == sorted(quantization.schemes)
    assert sorted(notes["kept"]["float32"]) == sorted(quantization.kept)
    assert (
        Checkpoint.open(
            save_checkpoint(tmp_path / "p", model=model, tokenizer=BYTES).path
        ).quantization
        is None
    )


def test_a_scale_that_the_precision_cannot_hold_is_written_wider(tmp_path: Path) -> None:
    model = make(dtype=torch.bfloat16)
    quantized = quantized_by(model, lambda _: "int8", "float32")
    checkpoint = saved(tmp_path, model, quantized)
    same(checkpoint.weights()[f"{DOWN}.weight"], quantized[f"{DOWN}.weight"])


def test_the_mapping_is_whole_for_plain_directories_too(tmp_path: Path) -> None:
    model = make()
    weights = save_checkpoint(tmp_path / "m", model=model, tokenizer=BYTES).weights()
    expected = tensors_of(model)
    assert set(weights) == set(expected)
    for name in expected:
        tensor = weights[name]
        assert isinstance(tensor, np.ndarray)
        assert torch.equal(to_tensor(tensor), expected[name])


# What other programs write: compressed-tensors' own compressors make the tensors.


@pytest.mark.parametrize("form", ["pack-quantized", "int-quantized", "naive-quantized"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("strategy", "bits", "group"),
    [("tensor", 8, None), ("channel", 8, None), ("channel", 4, None), ("group", 4, 32)],
)
def test_what_compressed_tensors_wrote(
    tmp_path: Path, form: str, symmetric: bool, strategy: str, bits: int, group: int | None
) -> None:
    weights = {"num_bits": bits, "symmetric": symmetric, "strategy": strategy, "group_size": group}
    checkpoint, values = foreign(tmp_path, weights, form)
    for name, value in values.items():
        ours = checkpoint.weights()[name]
        assert isinstance(ours, QuantizedTensor) and ours.bits == bits
        assert torch.allclose(torch.from_numpy(ours.dequantize()), value, rtol=1e-5, atol=1e-6)
    assert checkpoint.load_model().n_parameters() == make().n_parameters()


@pytest.mark.parametrize("bits", [2, 3, 5, 6, 7])
def test_other_numbers_of_bits_are_read_as_well(tmp_path: Path, bits: int) -> None:
    weights = {"num_bits": bits, "symmetric": False, "strategy": "group", "group_size": 16}
    checkpoint, values = foreign(tmp_path, weights, "pack-quantized")
    ours = checkpoint.weights()[f"{DOWN}.weight"]
    assert isinstance(ours, QuantizedTensor) and ours.scheme == f"int{bits}-asym-g16"
    assert torch.allclose(torch.from_numpy(ours.dequantize()), values[f"{DOWN}.weight"], atol=1e-5)
