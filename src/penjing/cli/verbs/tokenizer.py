"""`penjing tokenizer`: train one on files, or show how one cuts a text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg, subcommand

from penjing.cli.arguments import command, parse
from penjing.tokenizer.config import TokenizerConfig

COLOURS = ("cyan", "yellow", "green", "magenta")  # of pieces side by side


@dataclass(frozen=True)
class Train:
    """Train a tokenizer on files, folders or corpora."""

    sources: Annotated[
        Positional[tuple[str, ...]],
        arg(
            metavar="SOURCE [SOURCE ...]",
            help='files, folders, "-", or corpora',
            help_behavior_hint="(required)",
        ),
    ]
    out: Path
    """a new folder for tokenizer.json and tokenizer_config.json"""
    settings: Annotated[TokenizerConfig, arg(name="")] = field(default_factory=TokenizerConfig)


@dataclass(frozen=True)
class Show:
    """Show the pieces of a text: their ids, their bytes, and half characters as bytes."""

    text: Annotated[Positional[str], arg(metavar="TEXT", help='the text; "-" reads standard input')]
    tokenizer: Path
    """a run, a model directory, or a tokenizer.json"""


def run(args: Sequence[str]) -> int:
    """One of the two."""
    either: Any = Annotated[Train, subcommand("train")] | Annotated[Show, subcommand("show")]
    chosen = parse(either, args, "tokenizer")
    if isinstance(chosen, Train):
        _train(chosen)
    else:
        _show(chosen)
    return 0


def _train(arguments: Train) -> None:
    from penjing.cli.console import make_console, show, teller
    from penjing.cli.runs import free
    from penjing.core.files import atomic_directory
    from penjing.data.readers import read_documents
    from penjing.tokenizer.train import train_tokenizer

    console = make_console()
    out = free(arguments.out)
    documents = read_documents(arguments.sources, listener=teller(console))
    tokenizer = train_tokenizer((doc.text for doc in documents), arguments.settings)
    with atomic_directory(out) as folder:
        tokenizer.save(folder)
    n_bytes = sum(len(doc.text.encode()) for doc in documents)
    n_tokens = sum(len(ids) for ids, _ in tokenizer.encode_pieces(doc.text for doc in documents))
    show(console, f"tokenizer  {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, in {out}")
    show(console, f"this text  {n_tokens:,} tokens, {n_bytes / n_tokens:.2f} bytes a token")
    show(console, f"\nNext: {command('tokenizer', 'show', 'Hello', '--tokenizer', str(out))}")


def _show(arguments: Show) -> None:
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


def _visible(piece: str) -> str:
    """White space that can be seen."""
    return piece.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
