"""Quantized checkpoints that are damaged, and what cannot be written as one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.compressed import DOWN, Q_PROJ, foreign, make, quantized_by, saved
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.model.checkpoint import Checkpoint
from penjing.model.compressed_saving import linear_names
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES
from penjing.quantization.tensor import QuantizedTensor

Edit = Callable[[dict[str, Tensor]], None]


def damaged(folder: Path, edit: Edit, name: str = "int4-asym-g32") -> Checkpoint:
    model = make()
    checkpoint = saved(folder, model, quantized_by(model, lambda _: name))
    file = checkpoint.path / "model.safetensors"
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file, {"format": "pt"})
    return Checkpoint.open(checkpoint.path)


def put(part: str, value: Callable[[Tensor], Tensor]) -> Edit:
    def edit(tensors: dict[str, Tensor]) -> None:
        tensors[f"{Q_PROJ}.{part}"] = value(tensors[f"{Q_PROJ}.{part}"]).contiguous()

    return edit


def drop(part: str) -> Edit:
    return lambda tensors: tensors.__delitem__(f"{Q_PROJ}.{part}")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("weight_scale"), "q_proj.weight_scale is missing"),
        (drop("weight_packed"), "q_proj.weight_packed is missing"),
        (drop("weight_shape"), "q_proj.weight_shape is missing"),
        (drop("weight_zero_point"), "q_proj.weight_zero_point is missing"),
        (
            put("weight_scale", lambda t: t[:, :1]),
            r"weight_scale has the shape \(96, 1\).*\(96, 2\)",
        ),
        (put("weight_scale", lambda t: t * 0), "weight_scale holds a zero, a NaN"),
        (put("weight_scale", lambda t: t * torch.nan), "weight_scale holds a zero, a NaN"),
        (put("weight_scale", lambda t: t.int()), "weight_scale is of type I32"),
        (
            put("weight_packed", lambda t: t[:, 1:]),
            r"weight_packed has the shape \(96, 7\).*\(96, 8\)",
        ),
        (put("weight_packed", lambda t: t[1:]), r"weight_packed has the shape \(95, 8\)"),
        (put("weight_packed", lambda t: t.long()), "weight_packed is of type I64"),
        (put("weight_shape", lambda t: t + 1), r"q_proj.weight has the shape \(97, 65\)"),
        (put("weight_shape", lambda t: -t), r"q_proj.weight has the shape \(-96, -64\)"),
        (put("weight_shape", lambda t: t[:1]), "weight_shape must hold two numbers"),
        (put("weight_zero_point", lambda t: t[:-1]), r"weight_zero_point has the shape \(2, 11\)"),
        (put("weight_zero_point", lambda t: t.float()), "weight_zero_point is of type F32"),
        (
            lambda tensors: tensors.update({f"{Q_PROJ}.weight_g_idx": torch.arange(64)}),
            "weight_g_idx.*order of their activations",
        ),
        (
            lambda tensors: tensors.update({f"{Q_PROJ}.weight": torch.zeros(96, 64)}),
            "q_proj.weight is there twice",
        ),
    ],
)
def test_damage_names_the_tensor(tmp_path: Path, edit: Edit, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        damaged(tmp_path, edit).load_model()


def test_levels_that_their_bits_cannot_hold(tmp_path: Path) -> None:
    weights = {"num_bits": 4, "strategy": "channel"}
    checkpoint, _ = foreign(tmp_path, weights, "int-quantized")
    file = checkpoint.path / "model.safetensors"
    tensors = load_file(file)
    tensors[f"{DOWN}.weight"][0, 0] = 8
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"down_proj\.weight holds numbers that do not fit in 4"
    ):
        checkpoint.load_model()


def test_zero_points_of_a_symmetric_weight(tmp_path: Path) -> None:
    def add(value: int) -> Edit:
        zero = torch.full((96, 1), value, dtype=torch.int8)
        return lambda tensors: tensors.update({f"{Q_PROJ}.weight_zero_point": zero})

    damaged(tmp_path / "old", add(0), "int8").load_model()
    with pytest.raises(CheckpointError, match="weight_zero_point is not zero, though"):
        damaged(tmp_path / "odd", add(3), "int8").load_model()


def test_tensors_that_the_configuration_does_not_speak_of(tmp_path: Path) -> None:
    model = make()
    checkpoint = saved(tmp_path, model, quantized_by(model, lambda _: "int8"))
    file = checkpoint.path / "config.json"
    data = json.loads(file.read_text())
    data["quantization_config"]["ignore"].append(Q_PROJ)
    file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"q_proj\.weight_packed is there, but quantization"):
        checkpoint.load_model()
    del data["quantization_config"]
    file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"14 missing.*unknown"):
        checkpoint.load_model()
    file.write_text(json.dumps(data | {"quantization_config": "4 bits"}))
    with pytest.raises(CheckpointError, match="quantization_config must be a table"):
        checkpoint.load_model()
    file.write_text(json.dumps(data | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(CheckpointError, match="quantized with 'gptq', which is not read here"):
        checkpoint.load_model()


# What cannot be written


def test_families_without_linear_layers(tmp_path: Path) -> None:
    for family in ("gpt2", "rnn"):
        model = build_model(ModelConfig(family=family, vocab_size=257, n_layer=1, n_embd=64))
        assert linear_names(model.config) == ()
        tensor = quantize(np.ones((64, 192), np.float32), SCHEMES["int8"])
        with pytest.raises(CheckpointError, match=f"{family} has none .* Write GGUF instead"):
            saved(tmp_path, model, {"transformer.h.0.attn.c_attn.weight": tensor})
    assert list(tmp_path.iterdir()) == []


def test_what_the_form_or_vllm_cannot_hold(tmp_path: Path) -> None:
    model = make()
    good = quantized_by(model, lambda _: "int8")
    some = quantize(np.ones((257, 64), np.float32), SCHEMES["int8"])
    cases = {
        "embed_tokens.weight is no weight of a Linear": {"model.embed_tokens.weight": some},
        r"q_proj.weight has the shape \(96, 64\), quantized \(257": {f"{Q_PROJ}.weight": some},
        "several schemes; vLLM computes them as one": {f"{Q_PROJ}.weight": None},
    }
    for message, change in cases.items():
        quantized = {k: v for k, v in (good | change).items() if v is not None}
        with pytest.raises(CheckpointError, match=message):
            saved(tmp_path, model, quantized)
    tensor = good[f"{DOWN}.weight"]
    shifted = QuantizedTensor(tensor.q, tensor.scale, tensor.scale * 0.3, 8, 96, "Q4_1")
    with pytest.raises(CheckpointError, match="Q4_1 shifts its weights by any amount"):
        saved(tmp_path, model, good | {f"{DOWN}.weight": shifted})
    far = QuantizedTensor(tensor.q, tensor.scale, tensor.scale * 500, 8, 96, "far")
    with pytest.raises(CheckpointError, match=r"down_proj\.weight cannot be written: a zero point"):
        saved(tmp_path, model, good | {f"{DOWN}.weight": far})
    assert list(tmp_path.iterdir()) == []
