"""What a report is made of: claims held against the figures, tables, charts. Plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Claim:
    """A sentence with figures in it, and whether the figures bear it out."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Part:
    """One question of a study: what was done, what came out, and what it says."""

    title: str
    title_zh: str
    text: str  # what was done, and how to read the table
    header: Sequence[str]
    rows: Rows
    claims: Sequence[Claim] = ()
    charts: Sequence[str] = ()  # SVG
    samples: Sequence[tuple[str, str]] = ()  # (whose, what it wrote)


def across(values: Sequence[float], digits: int = 3) -> str:
    """The mean over seeds, with the least and the largest where they differ: `2.50 (2.48-2.53)`."""
    mean, low, high = (f"{v:.{digits}f}" for v in (fmean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low}-{high})"


def percent(values: Sequence[float]) -> str:
    """Shares, as `across` in per cent."""
    return f"{across([100 * value for value in values], 1)} %"
