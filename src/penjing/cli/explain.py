"""What quantizing does to one tensor, as plain tables."""

import math

from rich.console import Console

from penjing.cli.columns import show_columns
from penjing.cli.console import show
from penjing.quantization.explain import Explanation, Rounded, Sharing, Weights
from penjing.report.scale import number
from penjing.report.units import percent, plural

LINES, BAR = 15, 36  # of the histogram: its height, and the characters of its longest bar


def show_explanation(console: Console, explanation: Explanation) -> None:
    """Print the weights, what each scheme makes of them, and what their outliers cost."""
    weights = explanation.weights
    largest = weights.outliers[0]
    show(console, f"{weights.name}  {weights.rows:,} x {weights.columns:,}", "bold")
    if weights.stored:
        show(console, f"kept as {weights.stored}: these are the numbers that it stands for")
    show(
        console,
        f"range {number(weights.low)} to {number(weights.high)}, mean {number(weights.mean)}, "
        f"standard deviation {number(weights.deviation)}, excess kurtosis "
        f"{number(weights.kurtosis)}",
    )
    show(
        console,
        f"largest {number(largest.value)} in row {largest.row}, column {largest.column}: "
        f"{number(largest.deviations)} standard deviations",
    )
    show(console, "")
    show_columns(console, ("weight", "count", ""), _histogram(weights), right=(0, 1))
    show(console, "")
    _show_schemes(console, explanation.rounded)
    show(console, "")
    _show_sharing(console, explanation.sharing)


def _histogram(weights: Weights) -> list[tuple[str, str, str]]:
    """Fewer bins than the data has; bars by the logarithm, so that the rare are seen."""
    each = math.ceil(len(weights.counts) / LINES)
    counts = [sum(weights.counts[n : n + each]) for n in range(0, len(weights.counts), each)]
    top = math.log2(1 + max(counts))
    rows = []
    for n, count in enumerate(counts):
        last = min((n + 1) * each, len(weights.counts))
        middle = (weights.edges[n * each] + weights.edges[last]) / 2
        rows.append((number(middle), f"{count:,}", "█" * round(BAR * math.log2(1 + count) / top)))
    return rows


def _show_schemes(console: Console, rounded: tuple[Rounded, ...]) -> None:
    header = (
        "scheme",
        "bits/weight",
        "scales",
        "smallest",
        "largest",
        "zero point",
        "levels used",
        "entropy",
        "cut off",
        "max error",
        "RMS error",
        "SQNR dB",
    )
    rows = [
        (
            r.scheme,
            f"{r.bits_per_weight:.2f}",
            f"{r.n_scales:,}",
            number(r.scales[0]),
            number(r.scales[2]),
            "" if r.zero_points is None else "{}..{}".format(*r.zero_points),
            f"{r.levels_used}/{r.n_levels}",
            f"{r.entropy:.2f}",
            percent(r.cut_off) if r.cut_off else "0",
            number(r.error.max),
            number(r.error.rms),
            f"{r.error.sqnr_db:.1f}",
        )
        for r in rounded
    ]
    show_columns(
        console, header, rows, right=range(1, len(header)), optional=(3, 4, 8, 7, 6, 2, 5, 9)
    )


def _show_sharing(console: Console, sharing: tuple[Sharing, ...]) -> None:
    header = (
        "one scale for",
        "groups",
        "longer by",
        "worst",
        "bits lost",
        "spoiled",
        "int8 dB",
        "int4 dB",
    )
    names = {"tensor": "the tensor", "channel": "each channel"}
    rows = [
        (
            names.get(s.shared, f"groups of {s.shared}"),
            f"{s.n_groups:,}",
            f"{s.stretched:.2f}",
            number(s.most_stretched),
            f"{s.bits_lost:.2f}",
            percent(s.spoiled),
            f"{s.int8_db:.1f}",
            f"{s.int4_db:.1f}",
        )
        for s in sharing
    ]
    show_columns(console, header, rows, right=range(1, len(header)), optional=(3, 1))
    spoiled = sum(round(s.spoiled * s.n_groups) for s in sharing if s.shared == "channel")
    show(
        console,
        "Longer by: the range with the largest 1 % of a group's weights over that without them. "
        f"Twice as long or more costs the others a bit: {plural(spoiled, 'channel')} of this "
        "tensor.",
    )
