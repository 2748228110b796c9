"""Histograms: how often each value occurs, and below it where the levels of some grids lie."""

from collections.abc import Sequence
from dataclasses import dataclass

from penjing.report.canvas import Canvas, cut, text_width
from penjing.report.scale import Scale, fitted, tick_labels

SIZE = (760, 320)  # pixels, without the rows of grids
ROW = 22  # pixels of a row below the axis
FINEST = 4  # pixels between two levels that are still drawn one by one


@dataclass(frozen=True)
class Grid:
    """Evenly spaced levels, drawn as a row of strokes."""

    label: str
    low: float
    high: float
    n_levels: int


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    grids: Sequence[Grid] = (),
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    size: tuple[int, int] = SIZE,
) -> str:
    """Bars on a logarithmic axis, so that what is rare is seen beside what is common, as SVG.

    Args:
        edges: of the bins, from left to right, one more than `counts`.
        grids: drawn below the axis, as far as they reach into it.
        size: width and height in pixels, without the grids.
    """
    left = max(60.0, 24 + max((text_width(grid.label) for grid in grids), default=0.0))
    right, top = size[0] - 18.0, 18.0 + (24 if title else 0)
    floor = size[1] - 30.0 - (18 if x_label else 0)
    canvas = Canvas(size[0], size[1] + (ROW * len(grids) + 8 if grids else 0))
    x = Scale(edges[0], edges[-1], left, right)
    y = fitted([0.5, 1.0, *counts], (floor, top), log=True)
    ticks = y.ticks(5)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.line(left, y(tick), right, y(tick), "grid")
        canvas.text(left - 8, y(tick) + 4, label, anchor="end")
    for n, count in enumerate(counts):
        if count:
            start, width = x(edges[n]), x(edges[n + 1]) - x(edges[n])
            canvas.add(
                "rect", x=start, y=y(count), width=width, height=floor - y(count), class_="f0"
            )
    canvas.line(left, floor, right, floor, "axis")
    ticks = x.ticks(8)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.text(x(tick), floor + 18, label, anchor="middle")
    if x_label:
        canvas.text((left + right) / 2, floor + 38, x_label, anchor="middle")
    if title:
        canvas.text(16, 25, cut(title, size[0] - 32, 14), style="title strong")
    if y_label:
        canvas.text(14, (floor + top) / 2, y_label, anchor="middle", turn=-90)
    for n, grid in enumerate(grids):
        _strokes(canvas, grid, x, size[1] + ROW * (n + 0.5), 1 + n % 7)
    return canvas.svg(title or x_label or "histogram")


def _strokes(canvas: Canvas, grid: Grid, x: Scale, y: float, colour: int) -> None:
    """One row: a stroke for each level, or a bar where they lie too close."""
    low, high = max(grid.low, x.low), min(grid.high, x.high)
    canvas.text(x.start - 10, y + 4, grid.label, anchor="end", style="strong")
    canvas.line(x(low), y, x(high), y, f"curve c{colour}")
    step = (grid.high - grid.low) / max(1, grid.n_levels - 1)
    if x(x.low + step) - x.start < FINEST:
        canvas.add(
            "rect", x=x(low), y=y - 5, width=x(high) - x(low), height=10, class_=f"f{colour}"
        )
        return
    for n in range(grid.n_levels):
        value = grid.low + n * step
        if x.low <= value <= x.high:
            canvas.line(x(value), y - 6, x(value), y + 6, f"curve c{colour}")
