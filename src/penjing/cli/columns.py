"""Tables for a terminal and for a pipe: columns that line up, whatever the script."""

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from penjing.cli.lines import BOLD, line, show_lines
from penjing.cli.text import one_line

Row = Sequence[str]

_GAP = "  "


def aligned(rows: Sequence[Row], *, right: Collection[int] = ()) -> list[str]:
    """Rows of cells as lines, their columns below each other; those of `right` set flush right.

    Widths are those of a terminal: a Han character takes two places, and so does a family emoji.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [
        _GAP.join(_padded(cell, widths[n], right=n in right) for n, cell in enumerate(row)).rstrip()
        for row in cells
    ]


def table(header: Row, rows: Sequence[Row], *, right: Collection[int] = ()) -> Iterator[Segment]:
    """The lines of a table, its header bold."""
    for number, text in enumerate(aligned((header, *rows), right=right)):
        yield line(text, None if number else BOLD)


def show_columns(
    console: Console,
    header: Row,
    rows: Sequence[Row],
    *,
    right: Collection[int] = (),
    optional: Sequence[int] = (),
) -> None:
    """Print a table.

    Args:
        right: columns that are set flush right.
        optional: columns that are left out, the first of these first, where a terminal is too
            narrow for all; a pipe gets all.
    """
    for n_dropped in range(len(optional) + 1):
        kept = [n for n in range(len(header)) if n not in optional[:n_dropped]]
        shown = [[row[n] for n in kept] for row in (header, *rows)]
        if not console.is_terminal or max(map(cell_len, aligned(shown))) <= console.width:
            break
    places = [place for place, n in enumerate(kept) if n in right]
    show_lines(console, table(shown[0], shown[1:], right=places))


def _padded(cell: str, width: int, *, right: bool) -> str:
    room = " " * (width - cell_len(cell))
    return room + cell if right else cell + room
