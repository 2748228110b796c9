"""Many lines at once: rich's `Text` takes many times as long where no line needs breaking."""

from collections.abc import Iterable

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from penjing.cli.text import safe

BOLD = Style(bold=True)


def show_lines(console: Console, segments: Iterable[Segment]) -> None:
    """Print segments as they are; each line ends with a line feed of its own."""
    console.print(Segments(segments), soft_wrap=True, end="")


def line(text: str = "", style: Style | None = None) -> Segment:
    """One line, its control characters spelled out."""
    return Segment(safe(text) + "\n", style)
