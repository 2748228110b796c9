"""A comparison of quantized models as one table, and as notes under it."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from penjing.cli.columns import show_columns
from penjing.cli.console import show
from penjing.report.units import plural, si, size

if TYPE_CHECKING:
    from penjing.transform.interval import Interval
    from penjing.transform.table import Comparison, Row

_NONE = "-"


def show_comparison(console: Console, comparison: "Comparison") -> None:
    """The table; then what is quantized and what is not; then what one has to know."""
    header, cells = table(comparison.rows)
    show(console, "")
    show_columns(console, header, cells, right=range(1, len(header)))
    for names, lines in _listings(comparison.rows[1:]):
        show(console, f"\n{', '.join(names)}", "bold")
        for line in lines:
            show(console, f"  {line}")
    for row in comparison.rows:
        if row.path:
            show(console, f"\n{row.name} was written to {row.path}")
    show(console, "")
    for note in (*_figures_of(comparison), *comparison.notes):
        show(console, note)


def table(rows: "Sequence[Row]") -> tuple[list[str], list[list[str]]]:
    """Header and cells. Columns that nothing was measured for are left out."""
    columns = {
        "model": [row.name for row in rows],
        "size": [size(row.n_bytes) for row in rows],
        "bits/weight": [f"{row.bits_per_weight:.2f}" for row in rows],
    }
    qualities = [row.quality for row in rows]
    if any(quality is not None for quality in qualities):
        columns |= {
            "perplexity": [_with(q.perplexity if q else None, ".2f") for q in qualities],
            "against original": [
                _percent(q.change) if q and n else _NONE for n, q in enumerate(qualities)
            ],
            "KL": [
                _divergence(q.divergence) if q and n else _NONE for n, q in enumerate(qualities)
            ],
            "same top-1": [
                _share(q.agreement) if q and n else _NONE for n, q in enumerate(qualities)
            ],
        }
    if any(row.errors for row in rows):
        columns["error of layers"] = [_middle(row.errors) for row in rows]
    if any(row.runtime is not None for row in rows):
        columns["KL of kernels"] = [_divergence(row.runtime) for row in rows]
    if any(row.speed is not None for row in rows):
        columns["prefill tok/s"] = [si(row.speed.prefill) if row.speed else _NONE for row in rows]
        columns["decode tok/s"] = [
            f"{row.speed.decode:.1f}" if row.speed else _NONE for row in rows
        ]
    return list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)]


def listing(row: "Row") -> list[str]:
    """What of a model is quantized, and what is not, with the reasons."""
    counts = Counter(row.schemes.values())
    lines = [f"{plural(count, 'tensor')} in {name}" for name, count in counts.items()]
    reasons: dict[str, list[str]] = {}
    for name, why in row.kept.items():
        reasons.setdefault(why, []).append(name.removesuffix(".weight"))
    for why, names in reasons.items():
        some = ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")
        lines.append(f"{plural(len(names), 'tensor')} not quantized ({why}): {some}")
    if row.divergences:
        lines.append(f"what hurts most, quantized alone: {_worst(row.divergences)}")
    return lines


def _worst(divergences: Mapping[str, Mapping[str, float]]) -> str:
    """The three matrices with the largest divergence, at the scheme that each likes least."""
    costs = [(max(row.values()), name, row) for name, row in divergences.items() if row]
    return ", ".join(
        f"{name} ({cost:.4f} nats as {max(row, key=row.__getitem__)})"
        for cost, name, row in sorted(costs, key=lambda item: -item[0])[:3]
    )


def _listings(rows: "Sequence[Row]") -> list[tuple[list[str], list[str]]]:
    """Names of rows, and what is said of all of them."""
    said: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        said.setdefault(tuple(listing(row)), []).append(row.name)
    return [(names, list(lines)) for lines, names in said.items()]


def _figures_of(comparison: "Comparison") -> list[str]:
    """How the figures came about."""
    quality = comparison.rows[0].quality
    lines = []
    if quality is not None:
        lines.append(
            f"Measured on {plural(quality.n_tokens, 'token')} in "
            f"{plural(quality.n_windows, 'window')}, "
            "with the weights that the integers stand for, in float32. Intervals are of 95 %, "
            'over windows; "against original" compares window by window.'
        )
    runners: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.speed:
            runners.setdefault(row.speed.runner, []).append(row.name)
    if runners:
        by = "; ".join(f"{', '.join(names)}: {runner}" for runner, names in runners.items())
        lines.append(f"Speeds: medians of rounds in which the models took turns. {by}.")
    return lines


def _middle(errors: Mapping[str, float]) -> str:
    """The median, as a share: those of eight bits are some thousandths of a percent."""
    return f"{100 * statistics.median(errors.values()):.2g} %" if errors else _NONE


def _with(interval: "Interval | None", form: str) -> str:
    """A figure with half its interval: 16.87 ± 1.77."""
    if interval is None:
        return _NONE
    reach = "" if math.isnan(interval.half) else f" ± {interval.half:{form}}"
    return f"{interval.value:{form}}{reach}"


def _divergence(interval: "Interval | None") -> str:
    """Small ones by their order of magnitude."""
    small = interval is not None and abs(interval.value) < 0.001
    return _with(interval, ".1e" if small else ".4f")


def _percent(change: "Interval") -> str:
    """How much larger the perplexity is, from the change of the loss."""
    value, low, high = (math.expm1(x) for x in (change.value, change.low, change.high))
    reach = "" if math.isnan(low) else f" ({low:+.2%} to {high:+.2%})"
    return f"{value:+.2%}{reach}"


def _share(agreement: "Interval") -> str:
    reach = "" if math.isnan(agreement.half) else f" ± {100 * agreement.half:.1f}"
    return f"{100 * agreement.value:.1f}{reach} %"
