"""Quantized checkpoints as compressed-tensors: its own code and transformers are the judges."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from penjing.core.errors import CheckpointError
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.compressed_saving import linear_names
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.model.forms import FORMS
from penjing.model.saving import save_checkpoint
from penjing.model.tensors import export_tensors, to_tensor
from penjing.quantization.floats import FloatName
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES, parse_scheme
from penjing.quantization.tensor import QuantizedTensor
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))
Q_PROJ = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.1.mlp.down_proj"
Edit = Callable[[dict[str, Tensor]], None]


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)


def make(family: FamilyName = "qwen3", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A small model with weights large enough to matter; Llama's has a head and biases."""
    config = ModelConfig(
        family=family,
        vocab_size=257,
        n_layer=2,
        n_embd=64,
        n_head=4,
        n_kv_head=2,
        head_dim=24,
        n_inner=96,
        context_length=16,
        tie_embeddings=family == "qwen3",
        attention_bias=family == "llama",
    )
    model = build_model(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.to(dtype).eval().requires_grad_(False)


def tensors_of(model: LanguageModel) -> dict[str, Tensor]:
    rules = FORMS[model.config.family].rules(model.config)
    return export_tensors(model.state_dict(), rules)


def quantized_by(
    model: LanguageModel, choose: Callable[[str], str], dtype: FloatName = "float32"
) -> dict[str, QuantizedTensor]:
    tensors = tensors_of(model)
    return {
        name: quantize(
            tensors[name].float().numpy(), parse_scheme(choose(name)), name=name, scale_dtype=dtype
        )
        for name in linear_names(model.config)
        if choose(name) != "keep"
    }


def saved(
    folder: Path, model: LanguageModel, quantized: dict[str, QuantizedTensor], **more: Any
) -> Checkpoint:
    return save_checkpoint(folder / "m", model=model, tokenizer=BYTES, quantized=quantized, **more)


def logits(model: Any) -> Tensor:
    ids = torch.randint(0, 257, (2, 11), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        out = model(ids)
    result: Tensor = getattr(out, "logits", out)
    return result.float()


def same(ours: Any, theirs: Any) -> None:
    assert isinstance(ours, QuantizedTensor) and isinstance(theirs, QuantizedTensor)
    assert np.array_equal(ours.q, theirs.q) and ours.bits == theirs.bits
    assert np.array_equal(ours.scale, theirs.scale)
    a, b = ours.zero_points(), theirs.zero_points()
    assert (a is None) == (b is None) and (a is None or np.array_equal(a, b))


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


def foreign(
    folder: Path, weights: dict[str, Any], form: str, **config: Any
) -> tuple[Checkpoint, dict[str, Tensor]]:
    """A directory as compressed-tensors writes it, and what its own code makes of the weights."""
    model = make()
    checkpoint = save_checkpoint(folder / "m", model=model, tokenizer=BYTES)
    entry = QuantizationConfig(
        config_groups={"group_0": {"targets": ["Linear"], "weights": weights}},
        format=form,
        quantization_status="compressed",
        ignore=["lm_head"],
    )
    scheme = entry.config_groups["group_0"]
    assert not isinstance(scheme, list) and scheme.weights is not None
    compressor = BaseCompressor.get_value_from_registry(form)
    tensors, values = dict(tensors_of(model)), {}
    for name in linear_names(model.config):
        weight, args = tensors.pop(name), scheme.weights
        parts = weight
        if args.strategy == "group":
            parts = weight.unflatten(1, (-1, args.group_size))
        dims = tuple(range(parts.ndim)) if args.strategy == "tensor" else -1
        scale, zero = calculate_qparams(parts.amin(dims), parts.amax(dims), args)
        if args.strategy == "channel":
            scale, zero = scale[:, None], zero[:, None]
        state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero}
        packed = compressor.compress(state, scheme)
        values[name] = compressor.decompress(packed, scheme)["weight"]
        module = name.removesuffix("weight")
        tensors |= {f"{module}{part}": tensor.contiguous() for part, tensor in packed.items()}
    save_file(tensors, checkpoint.path / "model.safetensors", {"format": "pt"})
    file = checkpoint.path / "config.json"
    written = json.loads(entry.model_dump_json()) | config
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": written}))
    return Checkpoint.open(checkpoint.path), values


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


# Damage


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
