"""`penjing tokenizer count`: how many tokens files are, and what they cost at a price."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from penjing.cli.arguments import OptionalFloat, Sources, parse
from penjing.cli.errors import UsageError
from penjing.cli.verbs.tokenizer.compare import labelled

PER = 1_000_000  # tokens that a price is for


@dataclass(frozen=True)
class Arguments:
    """Count the tokens of files, and what these cost where one pays by the token."""

    sources: Sources
    tokenizers: Annotated[str, arg(name="with", metavar="NAME,...")] = "o200k"
    """vocabularies by name or path, as of `compare`"""
    price: OptionalFloat = None
    """price of a million tokens, in any currency"""


def run(args: Sequence[str]) -> int:
    """Read, encode, add up."""
    arguments: Arguments = parse(Arguments, args, "tokenizer count")
    price = arguments.price
    if price is not None and not (price >= 0 and math.isfinite(price)):
        raise UsageError(f"--price is what a million tokens cost, 0 or more, got {price}.")
    from penjing.cli.columns import show_columns
    from penjing.cli.console import make_console, show
    from penjing.cli.samples import watched
    from penjing.cli.study_progress import StudyProgress
    from penjing.data.pieces import stream_pieces
    from penjing.data.readers import READERS
    from penjing.data.sources import find_sources
    from penjing.formats.package_tokenizers import open_tokenizer
    from penjing.tokenizer.compare import common_boundary, count_tokens

    console = make_console()
    found = list(find_sources(arguments.sources, READERS))  # all are there, before any is read
    rows = []
    with StudyProgress(make_console(stderr=True)) as progress:
        tokenizers = {
            label: open_tokenizer(name, listener=progress)
            for label, name in labelled(arguments.tokenizers).items()
        }
        boundary = common_boundary(tokenizers.values())
        for source, files in zip(arguments.sources, found, strict=True):
            pieces = stream_pieces([source], boundary, listener=progress)
            n_bytes = sum(file.n_bytes for file in files)
            texts = watched((piece.text for piece in pieces), n_bytes, source, progress)
            rows.append((source, count_tokens(tokenizers.values(), texts)))
    if len(rows) > 1:
        sums = [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]
        rows.append(("together", sums))
    header = ("text", "characters", *(f"{name} tokens" for name in tokenizers))
    cells = [(name, *(f"{count:,}" for count in counts)) for name, counts in rows]
    if price is not None:
        paid = (money(count * price / PER) for count in rows[-1][1][1:])
        cells.append((f"cost at {price:g} per million", "", *paid))
    show_columns(console, header, cells, right=range(1, len(header)))
    show(console, "\nThe text alone: a conversation also has the tokens of its template.")
    return 0


def money(amount: float) -> str:
    """Two decimals, or as many as show three digits of a small amount: 12.34, 0.00333."""
    digits = 2 if amount >= 1 or amount == 0 else 2 - math.floor(math.log10(amount))
    return f"{amount:,.{digits}f}"
