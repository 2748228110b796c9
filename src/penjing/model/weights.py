"""How our tensors map to those of a Hugging Face checkpoint: one table for both directions.

We keep q, k, v (and gate, up) in one matrix, because one large product is faster than three small
ones. A rule says which of their tensors, one under another, make one of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from penjing.core.errors import CheckpointError


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
    source: Mapping[str, Tensor], rules: list[Rule], ignore: tuple[str, ...]
) -> dict[str, Tensor]:
    """Their tensors -> our state. Names that end in one of `ignore` are passed over.

    Raises:
        CheckpointError: tensors are missing, or there are some that no rule knows.
    """
    known = {name for rule in rules for name in rule.theirs}
    there = set(source)
    missing = sorted(known - there)
    extra = sorted(n for n in there - known if not n.endswith(ignore or ("\0",)))
    if missing or extra:
        raise CheckpointError(
            "The tensors do not fit the configuration:"
            + (f" {len(missing)} missing ({_some(missing)})." if missing else "")
            + (f" {len(extra)} unknown ({_some(extra)})." if extra else "")
            + " The file belongs to another model, or was written only in part."
        )
    state = {}
    for rule in rules:
        parts = [source[name] for name in rule.theirs]
        parts = [p.mT if rule.transpose else p for p in parts]
        state[rule.ours] = torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
