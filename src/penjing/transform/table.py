"""The table of a comparison: a row for each model, and what one has to know to read it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from penjing.model.checkpoint import Checkpoint
from penjing.quantization.scheme import parse_scheme
from penjing.transform.config import Format, QuantizeConfig
from penjing.transform.interval import Interval
from penjing.transform.measure import Quality
from penjing.transform.speed import Speed

ORIGINAL = "original"


@dataclass(frozen=True)
class Row:
    """One model of the table."""

    name: str
    n_bytes: int  # of the files with its weights
    bits_per_weight: float  # all that they hold of numbers, over the original's parameters
    quality: Quality | None = None  # None: no text to evaluate
    speed: Speed | None = None
    runtime: Interval | None = None  # KL(these weights in float32 || as the kernels compute)
    schemes: dict[str, str] = field(default_factory=dict)  # tensor -> its scheme
    kept: dict[str, str] = field(default_factory=dict)  # tensor -> why it stays as it is
    errors: dict[str, float] = field(default_factory=dict)  # of each matrix's outputs
    divergences: dict[str, dict[str, float]] = field(default_factory=dict)  # with a budget
    path: str | None = None  # where it was written


@dataclass(frozen=True)
class Comparison:
    """The original first, then what was asked for, in that order."""

    rows: tuple[Row, ...]
    n_parameters: int
    notes: tuple[str, ...]  # what one has to know to read the figures


def notes_on(
    source: Checkpoint, configs: Sequence[QuantizeConfig], rows: Sequence[Row], form: Format
) -> list[str]:
    """What one has to know to read the figures."""
    notes = []
    if source.quantization is not None:
        notes.append(
            "The model is quantized already: its dequantized weights are the original here, and "
            "what their rounding lost is not won back."
        )
    if source.config.tie_embeddings and all(config.table == "keep" for config in configs):
        if all(config.head == "keep" for config in configs):
            notes.append(
                "The table of embeddings is the head too (tied) and stays as it is: it counts in "
                "all bits per weight. --head SCHEME gives the head a quantized matrix of its own."
            )
        else:
            notes.append(
                "The head has a quantized matrix of its own now, beside the table of embeddings "
                "(which it was tied to): more bytes on disk, but fewer to read for each token."
            )
    if form == "compressed-tensors" and (names := [row.name for row in rows if _uneven(row)]):
        notes.append(
            f"transformers cannot load {', '.join(names)}: it takes no asymmetric scheme beside "
            "another one."
        )
    if any(row.quality is not None and row.quality.n_windows < 20 for row in rows):
        notes.append("The text to evaluate has fewer than 20 windows: the intervals are rough.")
    return notes


def _uneven(row: Row) -> bool:
    """Whether it has several schemes, and one of them with zero points."""
    schemes = [parse_scheme(name) for name in set(row.schemes.values())]
    return len(schemes) > 1 and not all(scheme.symmetric for scheme in schemes)
