"""`penjing tokenizer ...`: everything about how a text is cut."""

from collections.abc import Sequence

from penjing.cli.verb import Verb, run_part
from penjing.core.table import Table

PARTS: Table[Verb] = Table(
    "verb",
    {
        "train": Verb("train a tokenizer on a text", f"{__name__}.train"),
        "show": Verb("how a tokenizer cuts a text", f"{__name__}.show"),
    },
)


def run(args: Sequence[str]) -> int:
    """One of the parts."""
    return run_part(PARTS, args, "tokenizer", "Train a tokenizer, and see what it does to a text.")
