"""Bar charts: lying bars, so that names of any length and script can be read beside them."""

from collections.abc import Mapping, Sequence

from penjing.report.canvas import Canvas, cut, text_width
from penjing.report.legend import Key, draw_legend, legend_rows
from penjing.report.scale import drawable, fitted, number, tick_labels

WIDTH = 760  # pixels
BAR, BETWEEN, LEGEND = 20, 10, 18  # pixels: of a bar, between two groups, of a row of the legend


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str = "",
    y_label: str = "",
    width: int = WIDTH,
) -> str:
    """One bar for each label, with its value written at its end, as SVG.

    Args:
        y_label: what the values are, with their unit.
    """
    return grouped_bar_chart(labels, {"": values}, title=title, y_label=y_label, width=width)


def grouped_bar_chart(
    labels: Sequence[str],
    groups: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    y_label: str = "",
    width: int = WIDTH,
) -> str:
    """For each label one bar of every group, side by side, as SVG. NaN has no bar.

    Args:
        groups: values by the name of what they belong to, each as long as `labels`.
    """
    keys = [Key(name, n % 8) for n, name in enumerate(groups)]
    named = [key for key in keys if key.label]
    thick = BAR if len(groups) == 1 else max(13, BAR - 2 * len(groups))
    band = thick * len(groups) + BETWEEN
    left = 24 + min(width * 0.35, max(map(text_width, labels), default=0.0))
    room = 16 + max((text_width(number(v)) for row in groups.values() for v in row), default=0.0)
    rows = legend_rows(named, width - left - room)
    top = 18.0 + (22 if title else 0) + LEGEND * len(rows) + (6 if rows else 0)
    bottom = top + band * len(labels)
    canvas = Canvas(width, bottom + 30 + (18 if y_label else 0))
    shown = [v for row in groups.values() for v in row if drawable(v)]
    below = room if any(v < 0 for v in shown) else 0.0
    scale = fitted([0.0, *shown], (left + below, width - room), rounded=5)
    ticks = scale.ticks(max(2, int((width - left) / 110)))
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.line(scale(tick), top, scale(tick), bottom, "grid")
        canvas.text(scale(tick), bottom + 18, label, anchor="middle")
    for n, label in enumerate(labels):
        y = top + n * band + BETWEEN / 2
        middle = y + thick * len(groups) / 2 + 4
        canvas.text(left - 10, middle, cut(label, left - 23), anchor="end", style="strong")
        for key, row in zip(keys, groups.values(), strict=True):
            _bar(
                canvas,
                key,
                scale(0),
                scale(row[n]) if drawable(row[n]) else None,
                y,
                thick,
                number(row[n]),
            )
            y += thick
    canvas.line(scale(0), top, scale(0), bottom, "axis")
    if title:
        canvas.text(16, 25, cut(title, width - 32, 14), style="title strong")
    draw_legend(canvas, named, left, 26 + (20 if title else 0), width - left - room)
    if y_label:
        canvas.text((left + width - room) / 2, bottom + 38, y_label, anchor="middle")
    return canvas.svg(title or y_label or "chart")


def _bar(
    canvas: Canvas, key: Key, zero: float, end: float | None, y: float, thick: float, said: str
) -> None:
    if end is None:
        canvas.text(zero + 6, y + thick / 2 + 4, said)
        return
    canvas.add(
        "rect", x=min(zero, end), y=y + 1, width=abs(end - zero), height=thick - 2, rx=2,
        class_=key.fill,
    )  # fmt: skip
    before = end < zero
    canvas.text(
        end + (-6 if before else 6), y + thick / 2 + 4, said, anchor="end" if before else "start"
    )
