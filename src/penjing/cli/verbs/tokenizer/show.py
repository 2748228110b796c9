"""`penjing tokenizer show`: how a tokenizer cuts a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from penjing.cli.arguments import parse

COLOURS = ("cyan", "yellow", "green", "magenta")  # of pieces side by side


@dataclass(frozen=True)
class Arguments:
    """Show the pieces of a text: their ids, their bytes, and half characters as bytes."""

    text: Annotated[Positional[str], arg(metavar="TEXT", help='the text; "-" reads standard input')]
    tokenizer: Path
    """a run, a model directory, or a tokenizer.json"""


def run(args: Sequence[str]) -> int:
    """Encode and print."""
    arguments: Arguments = parse(Arguments, args, "tokenizer show")
    from rich.text import Text

    from penjing.cli.console import make_console, show
    from penjing.cli.prompt import read_prompt
    from penjing.cli.runs import model_directory
    from penjing.cli.text import safe
    from penjing.report.units import plural
    from penjing.tokenizer.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(model_directory(arguments.tokenizer))
    text = read_prompt(arguments.text)
    ids = tokenizer.encode(text)
    pieces = [_visible(tokenizer.token_text(id)) for id in ids]
    console = make_console()
    line = Text()
    for n, piece in enumerate(pieces):
        line.append("|" if n else "").append(safe(piece), COLOURS[n % len(COLOURS)])
    console.print(line, soft_wrap=True)
    width = max((len(tokenizer.token_bytes(id)) for id in ids), default=1) * 3
    show(console, f"\n{'id':>7}  {'bytes':<{width}} piece", "bold")
    for n, (id, piece) in enumerate(zip(ids, pieces, strict=True)):
        row = f"{id:>7}  {tokenizer.token_bytes(id).hex(' '):<{width}} "
        console.print(Text(row).append(safe(piece), COLOURS[n % len(COLOURS)]), soft_wrap=True)
    n_bytes = len(text.encode())
    per = f", {n_bytes / len(ids):.2f} bytes a token" if ids else ""
    count = (
        f"{plural(len(ids), 'token')}, {plural(len(text), 'character')}, {plural(n_bytes, 'byte')}"
    )
    show(console, f"\n{count}{per}")
    return 0


def _visible(piece: str) -> str:
    """White space that can be seen."""
    return piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
