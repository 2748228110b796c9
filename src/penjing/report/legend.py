"""What each line of a chart is: a stroke of its colour and its name, in as many rows as needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penjing.report.canvas import Canvas, cut, text_width

MOST = 12  # names; of more (layers, say) some are shown, the first and the last among them
STROKE, AFTER = 24, 18  # pixels: of the stroke with its gap, and after the name


@dataclass(frozen=True)
class Key:
    """How one series looks. `colour` overrides the palette's entry `n`."""

    label: str
    n: int
    colour: str | None = None
    faint: bool = False
    dashed: bool = False
    band: bool = False

    @property
    def stroke(self) -> str:
        """CSS classes of a line."""
        words = [f"c{self.n}"] * (self.colour is None)
        return " ".join([*words, *["faint"] * self.faint, *["dashed"] * self.dashed])

    @property
    def fill(self) -> str:
        """CSS classes of an area."""
        words = [f"f{self.n}"] * (self.colour is None)
        return " ".join([*words, *["band"] * self.band])

    @property
    def paint_stroke(self) -> Mapping[str, str]:
        return {"stroke": self.colour} if self.colour else {}

    @property
    def paint_fill(self) -> Mapping[str, str]:
        return {"fill": self.colour} if self.colour else {}

    @property
    def width(self) -> float:
        return STROKE + text_width(self.label) + AFTER


def legend_rows(keys: Sequence[Key], width: float) -> list[list[Key]]:
    """The keys in rows of at most `width` pixels."""
    if len(keys) > MOST:
        keys = [keys[round(n * (len(keys) - 1) / (MOST // 2 - 1))] for n in range(MOST // 2)]
    rows: list[list[Key]] = []
    for key in keys:
        if rows and sum(k.width for k in rows[-1]) + key.width - AFTER <= width:
            rows[-1].append(key)
        else:
            rows.append([key])
    return rows


def draw_legend(
    canvas: Canvas, keys: Sequence[Key], left: float, top: float, width: float, row: float = 18
) -> None:
    """Draw them from (left, top) on."""
    for n, line in enumerate(legend_rows(keys, width)):
        x, y = left, top + n * row
        for key in line:
            if key.band:
                canvas.add("rect", x=x, y=y - 8, width=18, height=9, class_=key.fill)
            else:
                places = f"{x:.1f},{y - 4:.1f} {x + 18:.1f},{y - 4:.1f}"
                canvas.add(
                    "polyline", points=places, class_=f"curve {key.stroke}", **key.paint_stroke
                )
            canvas.text(x + STROKE, y, cut(key.label, width - STROKE))
            x += key.width
