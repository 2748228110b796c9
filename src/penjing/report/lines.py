"""Line charts: several series over a common axis, with reference lines and a band."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from penjing.report.canvas import LIGHT, Canvas, cut, element, escaped, ramp_colour, text_width
from penjing.report.legend import Key, draw_legend, legend_rows
from penjing.report.scale import Scale, drawable, fitted, number, tick_labels

Point = tuple[float, float]
NONE: Mapping[str, float] = MappingProxyType({})

SIZE = (760, 380)  # pixels; the image scales to the width that it is given
MARKED = 40  # points at most that are drawn one by one, each with its figures at hand
THINNED = 800  # points at most of one line: about one a pixel
ROW, GAP = 18, 15  # pixels: a row of the legend; between two labels at the right


@dataclass(frozen=True)
class Series:
    """One line of a chart: its name, and its points from left to right.

    A point whose value is NaN or infinite (or not positive, on a logarithmic axis) is a gap. A
    series without a name is not in the legend.
    """

    label: str
    points: Sequence[Point]
    faint: bool = False  # a thin line behind the others, such as values before smoothing
    dashed: bool = False
    colour: int | None = None  # of the palette; by default each series has its own


def line_chart(
    series: Sequence[Series],
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    x_log: bool = False,
    y_log: bool = False,
    references: Mapping[str, float] = NONE,
    band: tuple[float, float] | None = None,
    band_label: str = "",
    ramp: bool = False,
    from_zero: bool = False,
    size: tuple[int, int] = SIZE,
) -> str:
    """Lines over a common axis, as SVG.

    Args:
        references: horizontal lines by name, each labelled at the right with its value.
        band: a shaded range of y.
        ramp: the series are ordered (layers, say) and coloured from the first to the last.
        from_zero: the axis of y begins at 0.
        size: width and height in pixels.
    """
    canvas = Canvas(*size)
    keys = _keys(series, band_label if band else "", ramp=ramp)
    ends = {f"{name} {number(y)}": y for name, y in references.items() if drawable(y)}
    box = _Box.of(size, title, y_label, x_label, keys, [*ends])
    more = [*ends.values(), *(band or ()), *[0.0] * from_zero]
    x, y = _scales(series, box, more, x_log=x_log, y_log=y_log)
    _frame(canvas, box, x, y, x_label, y_label)
    if band and all(map(y.shows, band)):
        top, bottom = sorted(map(y, band))
        canvas.add(
            "rect", x=box.left, y=top, width=box.width, height=bottom - top, class_="band f2"
        )
    _references(canvas, box, y, ends)
    for n in sorted(range(len(series)), key=lambda n: not series[n].faint):
        _curve(canvas, series[n], keys[n], x, y)
    if not any(_runs(s.points, x, y) for s in series):
        canvas.text((box.left + box.right) / 2, (box.top + box.bottom) / 2, "—", anchor="middle")
    _heading(canvas, title, box, keys)
    return canvas.svg(title or y_label or "chart")


@dataclass(frozen=True)
class _Box:
    """Where the lines are drawn; around it lie title, legend, ticks and labels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @staticmethod
    def of(
        size: tuple[int, int],
        title: str,
        y_label: str,
        x_label: str,
        keys: Sequence[Key],
        ends: Sequence[str],
    ) -> "_Box":
        margin = max((text_width(name) for name in ends), default=0.0)
        left, right = 50.0 + (20 if y_label else 0), size[0] - 18 - (margin and margin + 12)
        rows = legend_rows([key for key in keys if key.label], right - left)
        top = 18.0 + (24 if title else 0) + ROW * len(rows) + (6 if rows else 0)
        return _Box(left, top, right, size[1] - 30.0 - (18 if x_label else 0))


def _keys(series: Sequence[Series], band_label: str, *, ramp: bool) -> list[Key]:
    """One for each series, in order, then the band's; a lone series needs no name."""
    keys = []
    for n, one in enumerate(series):
        colour = ramp_colour(n / max(1, len(series) - 1)) if ramp else None
        place = n if one.colour is None else one.colour
        dashed = one.dashed or (not ramp and place >= len(LIGHT))
        label = one.label if len(series) > 1 or band_label else ""
        keys.append(Key(label, place % len(LIGHT), colour, faint=one.faint, dashed=dashed))
    return [*keys, Key(band_label, 2, None, band=True)] if band_label else keys


def _scales(
    series: Sequence[Series], box: _Box, more: Sequence[float], *, x_log: bool, y_log: bool
) -> tuple[Scale, Scale]:
    """Scales that show every point that can be drawn, and the values `more` of y."""
    drawn = [
        (x, y)
        for one in series
        for x, y in one.points
        if drawable(x, log=x_log) and drawable(y, log=y_log)
    ]
    across = fitted((x for x, _ in drawn), (box.left, box.right), log=x_log)
    values = [*(y for _, y in drawn), *more]
    return across, fitted(values, (box.bottom, box.top), log=y_log, rounded=5)


def _frame(canvas: Canvas, box: _Box, x: Scale, y: Scale, x_label: str, y_label: str) -> None:
    """Grid, ticks and the names of the axes."""
    ticks = y.ticks(max(2, int((box.bottom - box.top) / 45)))
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.line(box.left, y(tick), box.right, y(tick), "grid")
        canvas.text(box.left - 8, y(tick) + 4, label, anchor="end")
    canvas.line(box.left, box.bottom, box.right, box.bottom, "axis")
    ticks = x.ticks(max(2, int(box.width / 90)))
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.line(x(tick), box.bottom, x(tick), box.bottom + 4, "axis")
        canvas.text(x(tick), box.bottom + 18, label, anchor="middle")
    if x_label:
        canvas.text((box.left + box.right) / 2, box.bottom + 38, x_label, anchor="middle")
    if y_label:
        canvas.text(16, (box.top + box.bottom) / 2, y_label, anchor="middle", turn=-90)


def _references(canvas: Canvas, box: _Box, y: Scale, ends: Mapping[str, float]) -> None:
    """Dotted lines, with labels at the right that make room for each other."""
    shown = sorted((y(value), name) for name, value in ends.items() if y.shows(value))
    places = _apart([place for place, _ in shown], box.top, box.bottom)
    for (line, name), place in zip(shown, places, strict=True):
        canvas.line(box.left, line, box.right, line, "mark")
        canvas.line(box.right, line, box.right + 8, place, "mark lead")
        canvas.text(box.right + 11, place + 4, name)


def _apart(places: Sequence[float], low: float, high: float) -> list[float]:
    """Sorted places moved as little as they must, so that two labels never overlap."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + GAP) if moved else max(place, low))
    for n in reversed(range(len(moved))):
        limit = high if n == len(moved) - 1 else moved[n + 1] - GAP
        moved[n] = min(moved[n], limit)
    return moved


def _curve(canvas: Canvas, series: Series, key: Key, x: Scale, y: Scale) -> None:
    """One line for each stretch without a gap; a lone point is a dot, as are few points."""
    runs = _runs(series.points, x, y)
    few = sum(map(len, runs)) <= MARKED and not series.faint
    for run in runs:
        thin = list(_thinned(run, THINNED))
        if len(thin) > 1:
            places = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in thin)
            canvas.add("polyline", points=places, class_=f"curve {key.stroke}", **key.paint_stroke)
        for a, b in run if few or len(run) == 1 else ():
            said = f"{series.label}: {number(b)} ({number(a)})"
            canvas.add(
                "circle",
                element("title", escaped(said)),
                cx=x(a),
                cy=y(b),
                r=3.0,
                class_=key.fill,
                **key.paint_fill,
            )


def _runs(points: Sequence[Point], x: Scale, y: Scale) -> list[list[Point]]:
    """The points that can be drawn, cut where one cannot."""
    runs: list[list[Point]] = [[]]
    for a, b in points:
        if x.shows(a) and y.shows(b):
            runs[-1].append((a, b))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thinned(points: Sequence[Point], limit: int) -> Iterator[Point]:
    """At most about `limit` points, with every peak and every dip still there."""
    width = math.ceil(2 * len(points) / limit)
    if width <= 2:
        yield from points
        return
    for begin in range(0, len(points), width):
        part = points[begin : begin + width]
        ends = {id(p): p for p in (min(part, key=_height), max(part, key=_height))}
        yield from sorted(ends.values())


def _height(point: Point) -> float:
    return point[1]


def _heading(canvas: Canvas, title: str, box: _Box, keys: Sequence[Key]) -> None:
    """The title and, below it, what each line is."""
    if title:
        shown = cut(title, canvas.width - 32, 14)
        canvas.text(16, 25, shown, style="title strong")
    draw_legend(
        canvas, [key for key in keys if key.label], box.left, 26 + (20 if title else 0), box.width
    )
