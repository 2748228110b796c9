"""`penjing data`: what text is there, and how it would be split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import command, parse
from penjing.cli.errors import UsageError

HEAD = 600  # characters that --show prints


@dataclass(frozen=True)
class Arguments:
    """Count a text: documents, characters, bytes, and how it would be split."""

    sources: Annotated[
        Positional[tuple[str, ...]],
        arg(metavar="[SOURCE ...]", help='files, folders, "-" for standard input, or corpora'),
    ] = ()
    corpora: Annotated[FlagCreatePairsOff[bool], arg(name="list")] = False
    """the corpora that can be fetched, with their licences"""
    show: FlagCreatePairsOff[bool] = False
    """the beginning of the text, too"""
    validation_fraction: float = 0.05
    """share of the bytes for validation, in whole documents where that is possible"""


def run(args: Sequence[str]) -> int:
    """List the corpora, or look at a text."""
    arguments: Arguments = parse(Arguments, args, "data")
    if arguments.corpora:
        _list()
    elif arguments.sources:
        _look(arguments)
    else:
        raise UsageError(
            f"Name a file, a folder, - or a corpus: `{command('data', '--list')}` lists these."
        )
    return 0


def _list() -> None:
    from penjing.cli.packages import list_packages
    from penjing.data.corpora import CORPORA

    list_packages(
        (name, f"{corpus.title}; {corpus.language}", corpus.package, corpus.licence)
        for name, corpus in CORPORA.items()
    )


def _look(arguments: Arguments) -> None:
    from penjing.cli.console import make_console, show, teller
    from penjing.core.errors import DataError
    from penjing.data.documents import split_documents, summary
    from penjing.data.readers import read_documents
    from penjing.report.units import plural, size

    console = make_console()
    documents = read_documents(arguments.sources, listener=teller(console))
    total = summary(documents)
    rows = [
        ("documents", f"{total.documents:,}, {total.duplicates:,} of them duplicates"),
        ("characters", f"{total.characters:,}"),
        ("bytes", f"{total.bytes:,}, {total.bytes / total.characters:.2f} a character"),
        ("lines", f"{total.lines:,}"),
        (
            "lengths",
            f"{total.shortest:,} / {total.median:,} / {total.longest:,} characters: "
            "shortest, middle, longest document",
        ),
    ]
    try:
        split = split_documents(documents, validation_fraction=arguments.validation_fraction)
    except DataError as error:
        rows.append(("split", str(error)))
    else:
        for name, part in (("training", split.train), ("validation", split.validation)):
            found = summary(part)
            rows.append((name, f"{plural(found.documents, 'document')}, {size(found.bytes)}"))
    for name, value in rows:
        show(console, f"{name:<10} {value}")
    if arguments.show:
        show(console, f"\n{documents[0].source}:\n\n{documents[0].text[:HEAD]}")
