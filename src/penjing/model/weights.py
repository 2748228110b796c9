"""How our tensors map to those of a Hugging Face checkpoint: one table for both directions.

We keep q, k, v (and gate, up) in one matrix, because one large product is faster than three small
ones. A rule says which of their tensors, one under another, make one of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.model.tensor_files import Header
from penjing.quantization.tensor import QuantizedTensor

FLOATS = ("BF16", "F16", "F32", "F64")  # safetensors' names for what a model can compute with
QUANTIZED = "quantized"  # instead of such a name: small integers with scales, (outputs, inputs)

# A weight as it is stored. An array of uint16 holds bfloat16, which NumPy has no name for.
Stored = QuantizedTensor | NDArray[Any]


@dataclass(frozen=True)
class Rule:
    """`ours` = `theirs` joined along the output dimension, in this order."""

    ours: str
    theirs: tuple[str, ...]
    shape: tuple[int, ...]  # of ours, outputs first
    rows: tuple[int, ...] = ()  # output rows of each of theirs, when there are several
    transpose: bool = False  # GPT-2 stores (inputs, outputs)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of each of theirs, outputs first."""
        return [(rows, *self.shape[1:]) for rows in self.rows or self.shape[:1]]


def check_headers(
    headers: Mapping[str, Header],
    rules: list[Rule],
    ignore: tuple[str, ...],
) -> None:
    """Whether their tensors make ours. Names ending in `ignore` are passed over.

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
        for name, wanted in zip(rule.theirs, rule.shapes, strict=True):
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
