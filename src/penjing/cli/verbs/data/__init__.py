"""`penjing data ...`: look at a text, or have it examined, cleaned, encoded."""

from collections.abc import Sequence

from penjing.cli.verb import Verb, summaries
from penjing.cli.verbs.data import look
from penjing.core.table import Table

PARTS: Table[Verb] = Table(
    "verb",
    {
        "check": Verb("what a text is made of, and what is wrong with it", f"{__name__}.check"),
        "clean": Verb("write what is worth keeping to a new file", f"{__name__}.clean"),
        "encode": Verb("encode text into shards, once for all runs", f"{__name__}.encode"),
    },
)


def run(args: Sequence[str]) -> int:
    """The part that is named; without one, count the text that is."""
    if args and args[0] in PARTS:
        return PARTS[args[0]].run(args[1:])
    if args and args[0] in ("-h", "--help"):
        print(f"penjing data VERB does more with a text:\n{summaries(PARTS)}\n")
    return look.run(args)
