"""Many lines at once: rich's `Text` takes many times as long where no line needs breaking."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from penjing.cli.text import padded, safe, text_width

BOLD = Style(bold=True)
_GAP = "  "


def show_lines(console: Console, segments: Iterable[Segment]) -> None:
    """Print segments as they are; each line ends with a line feed of its own."""
    console.print(Segments(segments), soft_wrap=True, end="")


def line(text: str = "", style: Style | None = None) -> Segment:
    """One line, its control characters spelled out."""
    return Segment(safe(text) + "\n", style)


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> Iterator[Segment]:
    """The lines of a table; the columns of `right` are set flush right."""
    lines = [[safe(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(text_width, column)) for column in zip(*lines, strict=True)]
    for number, cells in enumerate(lines):
        whole = _GAP.join(padded(c, widths[n], right=n in right) for n, c in enumerate(cells))
        yield line(whole.rstrip(), None if number else BOLD)
