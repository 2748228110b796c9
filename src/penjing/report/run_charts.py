"""The curves of a run, drawn from its log."""

import math
from collections.abc import Sequence

from penjing.report.log import Point, RunLog
from penjing.report.svg import Series, line_chart
from penjing.report.words import Words

SMALL = (480, 270)  # pixels of a chart that stands beside another
SMOOTHED = 60  # points from which on a smooth line helps
WINDOW = 1 / 30  # of the points, over which it averages
CLOSER = 1 / 3  # of the run is left out of the closer look
ENOUGH = 24  # points that make a closer look worth it


def learning_charts(log: RunLog, words: Words) -> list[str]:
    """Training and validation over the whole run, with baselines; then its later part, closer."""
    known = math.isfinite(log.bytes_per_token)
    training = log.bits_per_byte("step") if known else log.points("step", "loss")
    validation = log.bits_per_byte("eval") if known else log.points("eval", "loss")
    unit = words["bits_per_byte" if known else "loss"]
    floor = log.baselines if known else {}
    whole = line_chart(
        _lines(training, validation, words),
        references=floor,
        band=log.expected if known else None,
        band_label=words["expected"],
        x_label=words["step"],
        y_label=unit,
        size=(1000, 440),
    )
    begin = CLOSER * max((x for x, _ in training), default=0.0)
    later = [p for p in training if p[0] >= begin]
    if len(later) < ENOUGH:
        return [whole]
    lines = _lines(later, [p for p in validation if p[0] >= begin], words)
    shown = [y for line in lines for _, y in line.points if math.isfinite(y)]
    if not shown:
        return [whole]
    low, high = min(shown), max(shown)
    near = {k: v for k, v in floor.items() if low - 0.1 * (high - low) <= v <= high}
    closer = line_chart(
        lines,
        title=words["closer"],
        x_label=words["step"],
        y_label=unit,
        references=near,
        size=(1000, 340),
    )
    return [whole, closer]


def inner_charts(log: RunLog, words: Words) -> list[str]:
    """What lies behind the loss, one small chart each; those without figures are left out."""
    plain = {
        "rate": log.points("step", "rate"),
        "grad_norm": log.points("step", "grad_norm"),
        "tokens_per_second": log.points("step", "tokens_per_second"),
        "mfu": [(x, 100 * y) for x, y in log.points("step", "mfu")],
    }
    images = [
        line_chart(
            [Series(words[name], points)],
            title=words[name],
            x_label=words["step"],
            y_log=name == "grad_norm",
            from_zero=name != "grad_norm",
            size=SMALL,
        )
        for name, points in plain.items()
        if _has_figures(points)
    ]
    return [*images, *_layer_charts(log, words)]


def _layer_charts(log: RunLog, words: Words) -> list[str]:
    """The "health" events: one line a layer, coloured from the first to the last."""
    images = []
    for name in ("gradients", "weights", "dead"):
        lines = [
            Series(part, [(x, y * (100 if name == "dead" else 1)) for x, y in points])
            for part in log.names("health", name)
            if _has_figures(points := log.points("health", name, part))
        ]
        asleep = any(y > 0 for line in lines for _, y in line.points)
        if not lines or (name == "dead" and not asleep):
            continue
        images.append(
            line_chart(
                lines,
                title=words[name],
                x_label=words["step"],
                y_log=name != "dead",
                from_zero=name == "dead",
                ramp=True,
                size=SMALL,
            )
        )
    return images


def _lines(training: Sequence[Point], validation: Sequence[Point], words: Words) -> list[Series]:
    if len(training) < SMOOTHED:
        lines = [Series(words["training"], training)]
    else:
        lines = [
            Series(words["training_smooth"], smooth(training)),
            Series("", training, faint=True, colour=0),
        ]
    judged = Series(words["validation"], validation, colour=1)
    return [line for line in [*lines, judged] if _has_figures(line.points)]


def smooth(points: Sequence[Point]) -> list[Point]:
    """Each point the mean of those about it; a gap stays one, and counts for none."""
    half = max(1, round(len(points) * WINDOW / 2))
    sums, counts = [0.0], [0]
    for _, y in points:
        finite = math.isfinite(y)
        sums.append(sums[-1] + (y if finite else 0.0))
        counts.append(counts[-1] + finite)
    smoothed = []
    for n, (x, y) in enumerate(points):
        reach = min(half, n, len(points) - 1 - n)  # as far to both sides, so that ends do not lag
        first, end = n - reach, n + reach + 1
        mean = (sums[end] - sums[first]) / max(1, counts[end] - counts[first])
        smoothed.append((x, mean if math.isfinite(y) else math.nan))
    return smoothed


def _has_figures(points: Sequence[Point]) -> bool:
    return any(math.isfinite(y) for _, y in points)
