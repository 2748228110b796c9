"""How our tensors map to those of a Hugging Face checkpoint: one table for both directions.

We keep q, k, v (and gate, up) in one matrix, because one large product is faster than three small
ones. A rule says which of their tensors, one under another, make one of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.model.tensor_files import Header
from penjing.quantization.tensor import QuantizedTensor

FLOATS = ("BF16", "F16", "F32", "F64")  # safetensors' names for what a model can compute with
QUANTIZED = "quantized"  # instead of such a name: small integers with scales, (outputs, inputs)


@dataclass(frozen=True)
class Rule:
    """`ours` = `theirs` joined along the output dimension, in this order."""

    ours: str
    theirs: tuple[str, ...]
    rows: tuple[int, ...] = ()  # output rows of each of theirs, when there are several
    transpose: bool = False  # GPT-2 stores (inputs, outputs)


def export_tensors(state: Mapping[str, Tensor], rules: list[Rule]) -> dict[str, Tensor]:
    """Our state -> their tensors, contiguous and independent of ours."""
    out: dict[str, Tensor] = {}
    for rule in rules:
        whole = state[rule.ours]
        parts = torch.split(whole, list(rule.rows)) if rule.rows else (whole,)
        for name, part in zip(rule.theirs, parts, strict=True):
            out[name] = (part.mT if rule.transpose else part).contiguous().clone()
    return out


def import_tensors(
    source: Mapping[str, Tensor | QuantizedTensor],
    rules: list[Rule],
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Their tensors -> our state; quantized ones as the numbers that they stand for, in `dtype`."""
    state = {}
    for rule in rules:
        parts = [_plain(source[name], dtype, transpose=rule.transpose) for name in rule.theirs]
        kinds = {part.dtype for part in parts}
        if len(kinds) > 1:  # some quantized, some not
            parts = [part.float() for part in parts]
        state[rule.ours] = torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
    return state


def _plain(tensor: Tensor | QuantizedTensor, dtype: torch.dtype, *, transpose: bool) -> Tensor:
    """(outputs, inputs), as quantized tensors always are."""
    if isinstance(tensor, QuantizedTensor):
        return torch.from_numpy(tensor.dequantize()).to(dtype)
    return tensor.mT if transpose else tensor


def check_headers(
    headers: Mapping[str, Header],
    rules: list[Rule],
    shapes: Mapping[str, tuple[int, ...]],
    ignore: tuple[str, ...],
) -> None:
    """Whether their tensors make ours, of these `shapes`. Names ending in `ignore` are passed over.

    Raises:
        CheckpointError: tensors are missing, or unknown to all rules, or of another shape or type.
    """
    known = {name for rule in rules for name in rule.theirs}
    missing = sorted(known - set(headers))
    extra = sorted(n for n in set(headers) - known if not n.endswith(ignore or ("\0",)))
    if missing or extra:
        raise CheckpointError(
            "The tensors do not fit the configuration:"
            + (f" {len(missing)} missing ({_some(missing)})." if missing else "")
            + (f" {len(extra)} unknown ({_some(extra)})." if extra else "")
            + " The file belongs to another model, or was written only in part."
        )
    for rule in rules:
        whole = shapes[rule.ours]
        for name, rows in zip(rule.theirs, rule.rows or whole[:1], strict=True):
            wanted = (rows, *whole[1:])
            if rule.transpose and headers[name].dtype != QUANTIZED:
                wanted = wanted[::-1]
            if headers[name].shape != wanted:
                raise CheckpointError(
                    f"Tensor {name} has the shape {headers[name].shape}, but config.json asks for "
                    f"{wanted}."
                )
            if headers[name].dtype not in (*FLOATS, QUANTIZED):
                raise CheckpointError(
                    f"Tensor {name} is of type {headers[name].dtype}, "
                    f"not one of {', '.join(FLOATS)}."
                )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
