"""`penjing data ...`: look at a text, or have it examined, cleaned, encoded."""

from collections.abc import Sequence

from penjing.cli.verb import Verb
from penjing.cli.verbs.data import look
from penjing.core.table import Table

PARTS: Table[Verb] = Table("verb", {})


def run(args: Sequence[str]) -> int:
    """The part that is named; without one, count the text that is."""
    if args and args[0] in PARTS:
        return PARTS[args[0]].run(args[1:])
    return look.run(args)
