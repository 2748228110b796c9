"""The pieces of a text on a terminal: side by side in colours, then one a line."""

from collections.abc import Iterator
from itertools import cycle

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from penjing.cli.lines import BOLD, line, show_lines
from penjing.cli.text import safe
from penjing.report.units import plural
from penjing.tokenizer.view import TextView, visible

COLOURS = tuple(map(Style.parse, ("cyan", "yellow", "green", "magenta")))  # of neighbours
_WIDEST = 40  # columns of bytes, or of a piece; a line with more is longer than the others


def show_pieces(console: Console, view: TextView) -> None:
    """Print a text cut into its pieces, and a table of them.

    A bracket joins pieces that hold parts of a character, and names the character; an arrow says
    what became an unknown token.
    """
    if view.pieces:
        show_lines(console, _side_by_side(view))
        show_lines(console, _table(view))
    n_bytes, n_tokens = len(view.raw), len(view.pieces)
    per = f", {n_bytes / n_tokens:.2f} bytes a token" if n_tokens else ""
    counts = ((n_tokens, "token"), (len(view.text), "character"), (n_bytes, "byte"))
    show_lines(console, [line(", ".join(plural(n, noun) for n, noun in counts) + per)])


def _side_by_side(view: TextView) -> Iterator[Segment]:
    for n, (piece, colour) in enumerate(zip(view.pieces, cycle(COLOURS), strict=False)):
        if n:
            yield Segment("|")
        yield Segment(safe(piece.text), colour)
    yield Segment("\n\n")


def _table(view: TextView) -> Iterator[Segment]:
    places = [f"{piece.start}-{piece.end}" for piece in view.pieces]
    texts = {id: safe(text) for id, text in {(each.id, each.text) for each in view.pieces}}
    widths = {id: cell_len(text) for id, text in texts.items()}
    raws = {raw: raw.hex(" ") for raw in {each.raw for each in view.pieces}}
    at = max(map(len, places))
    raw = min(max(5, *map(len, raws.values())), _WIDEST)
    widest = min(max(widths.values()), _WIDEST)
    yield Segment(f"{'id':>7}  {'at':<{at}}  {'bytes':<{raw}}  piece\n", BOLD)
    rows = zip(view.pieces, places, _remarks(view), cycle(COLOURS), strict=False)
    for piece, place, remark, colour in rows:
        yield Segment(f"{piece.id:>7}  {place:<{at}}  {raws[piece.raw]:<{raw}}  ")
        yield Segment(texts[piece.id], colour)
        yield line(" " * (widest - widths[piece.id] + 1) + remark if remark else "")
    yield line()


def _remarks(view: TextView) -> list[str]:
    """What stands to the right of each piece: "┐", "│", "┘ 𠮷", "← 𠮷", or nothing."""
    remarks = ["" for _ in view.pieces]
    for n, piece in enumerate(view.pieces):
        if piece.unknown:
            remarks[n] = f"← {visible(view.source(piece))}"
    for joined in view.joined:
        remarks[joined.first] = "┐"
        for n in range(joined.first + 1, joined.last - 1):
            remarks[n] = "│"
        remarks[joined.last - 1] = f"┘ {visible(joined.text)}"
    return remarks
