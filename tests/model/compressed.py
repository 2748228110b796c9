"""Small models and their quantized checkpoints, for the tests of what is written and read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file
from torch import Tensor

from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.compressed_saving import linear_names
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.model.forms import FORMS
from penjing.model.saving import save_checkpoint
from penjing.model.tensors import export_tensors
from penjing.quantization.floats import FloatName
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import parse_scheme
from penjing.quantization.tensor import QuantizedTensor
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))
Q_PROJ = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.1.mlp.down_proj"


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
