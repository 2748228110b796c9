"""Tables for a terminal and for a pipe: columns that line up, whatever the script."""

from collections.abc import Sequence

from rich.console import Console

from penjing.cli.console import show
from penjing.cli.text import padded, safe, text_width

_GAP = "  "


def show_columns(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    optional: Sequence[int] = (),
) -> None:
    """Print a table.

    Args:
        right: columns that are set flush right.
        optional: columns that are left out, the first of these first, where a terminal is too
            narrow for all; a pipe gets all.
    """
    lines = [[safe(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(text_width, column)) for column in zip(*lines, strict=True)]
    kept = list(range(len(header)))
    for n in optional:
        if not console.is_terminal or _total(widths, kept) <= console.width:
            break
        kept.remove(n)
    for number, line in enumerate(lines):
        cells = (padded(line[n], widths[n], right=n in right) for n in kept)
        show(console, _GAP.join(cells).rstrip(), "" if number else "bold")


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[n] for n in kept) + len(_GAP) * (len(kept) - 1)
