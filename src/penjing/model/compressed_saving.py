"""Quantized weights written as compressed-tensors: tensors and "quantization_config".

What others read decides the form. vLLM takes weights alone as pack-quantized, per channel or group,
and weights with activations as int-quantized; so one scale for the whole tensor is written once for
each channel. It joins q, k and v (and gate and up), which therefore need one scheme.
"""

from collections.abc import Collection, Mapping
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.model.compressed import module_class
from penjing.model.config import ModelConfig
from penjing.model.forms import FORMS
from penjing.quantization.compressed_config import Storage, make_config, stored_scheme
from penjing.quantization.floats import FloatName, fits
from penjing.quantization.packing import pack_rows, to_unsigned
from penjing.quantization.tensor import QuantizedTensor


def linear_names(config: ModelConfig) -> tuple[str, ...]:
    """The weights, by their names at Hugging Face, that compressed-tensors can hold quantized.

    None for families whose layers are not of the class Linear there. A head of its own is the last.
    """
    form = FORMS[config.family]
    rules = form.rules(config.resolve()) if form.architecture else []
    linear = [r for r in rules if r.ours.endswith(".weight") and module_class(r) == "Linear"]
    return tuple(name for rule in linear for name in rule.theirs)


def compress(
    tensors: dict[str, Tensor],
    quantized: Mapping[str, QuantizedTensor],
    activations: Collection[str],
    config: ModelConfig,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file with `quantized` ones in the place of those, and the configuration.

    The inputs of the weights named in `activations` are to be rounded to int8.

    Raises:
        CheckpointError: the format cannot hold a weight, or vLLM would not read it.
    """
    _check(tensors, quantized, activations, config)
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    groups = {q.group for q in quantized.values() if q.group < q.shape[1]}
    out = {name: tensor for name, tensor in tensors.items() if name not in quantized}
    storages = {}
    for name, tensor in quantized.items():
        module = name.removesuffix(".weight")
        storages[module] = _storage(tensor, groups, rounded_inputs=name in activations)
        try:
            out |= {
                f"{module}.{part}": value
                for part, value in _parts(tensor, storages[module], dtype).items()
            }
        except CheckpointError as error:
            raise CheckpointError(f"{name} cannot be written: {error}") from error
    linear = [name.removesuffix(".weight") for name in linear_names(config)]
    kept = [module for module in (*linear, "lm_head") if module not in storages]
    return out, make_config(storages, list(dict.fromkeys(kept)))


def _check(
    tensors: Mapping[str, Tensor],
    quantized: Mapping[str, QuantizedTensor],
    activations: Collection[str],
    config: ModelConfig,
) -> None:
    linear = linear_names(config)
    if not linear:
        raise CheckpointError(
            f"compressed-tensors holds the weights of Linear layers, and {config.family} has none "
            "at Hugging Face. Write GGUF instead, where there is that family."
        )
    for name, tensor in quantized.items():
        if name not in linear:
            raise CheckpointError(
                f"{name} is no weight of a Linear layer: compressed-tensors keeps it as it is. "
                "GGUF can hold a quantized embedding."
            )
        if tensor.shape != tuple(tensors[name].shape):
            raise CheckpointError(
                f"{name} has the shape {tuple(tensors[name].shape)}, quantized {tensor.shape}."
            )
    for rule in FORMS[config.family].rules(config):
        forms = {
            (q.bits, q.group, q.offset is None, name in activations) if q else None
            for name in rule.theirs
            for q in [quantized.get(name)]
        }
        if len(forms) > 1:
            raise CheckpointError(
                f"{', '.join(rule.theirs)} have several schemes; vLLM computes them as one matrix. "
                "Give them the same."
            )


def _storage(tensor: QuantizedTensor, groups: set[int], *, rounded_inputs: bool) -> Storage:
    """A row that is as long as the groups of the others counts as one of them."""
    grouped = tensor.group < tensor.shape[1] or tensor.group in groups
    scheme = stored_scheme(
        tensor.bits,
        _zero(tensor) is None,
        "group" if grouped else "channel",
        tensor.group if grouped else 0,
        activations=rounded_inputs,
    )
    return Storage(scheme, packed=not rounded_inputs)


def _zero(tensor: QuantizedTensor) -> np.ndarray[Any, np.dtype[np.int32]] | None:
    """Zero points counted from the lowest level, (N, G); None where all lie in the middle."""
    half = 1 << (tensor.bits - 1)
    zero = tensor.zero_points()
    if zero is None:
        zero = np.zeros(tensor.scale.shape, np.int32)
    if tensor.q.dtype == np.int8:
        zero = zero + half
    return None if (zero == half).all() else zero


def _parts(tensor: QuantizedTensor, storage: Storage, dtype: str) -> dict[str, Tensor]:
    """The tensors of one module, without its name. Scales are as wide as the model's weights."""
    bits, scheme = tensor.bits, storage.scheme
    if not np.isfinite(tensor.scale).all() or not tensor.scale.all():
        raise CheckpointError("a scale is zero, a NaN or an infinity.")
    narrow = next((d for d in get_args(FloatName) if d == dtype and fits(tensor.scale, d)), None)
    scale = torch.from_numpy(tensor.scale).to(getattr(torch, narrow or "float32"))
    levels, zero, half = to_unsigned(tensor.q, bits), _zero(tensor), 1 << (bits - 1)
    if int(levels.max(initial=0)) >> bits:
        raise CheckpointError(f"a level does not fit in {bits} bits.")
    if zero is not None and not ((zero >= 0) & (zero < 2 * half)).all():
        raise CheckpointError(
            f"a zero point lies outside its {2 * half} levels: all its weights have one sign. "
            "Quantize with ranges that hold zero."
        )
    if not storage.packed:
        parts = {"weight": torch.from_numpy((levels - np.uint8(half)).view(np.int8))}
    else:
        parts = {
            "weight_packed": torch.from_numpy(pack_rows(levels, bits)),
            "weight_shape": torch.tensor(tensor.shape),
        }
    parts["weight_scale"] = scale
    if not scheme.symmetric and zero is not None:
        if storage.packed:
            words = pack_rows(zero.T.astype(np.uint8), bits)
            parts["weight_zero_point"] = torch.from_numpy(np.ascontiguousarray(words.T))
        else:
            parts["weight_zero_point"] = torch.from_numpy((zero - half).astype(np.int8))
    return parts
