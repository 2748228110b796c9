"""`penjing tokenizer ...`: everything about how a text is cut."""

from collections.abc import Sequence

from penjing.cli.verb import Verb, run_part
from penjing.core.table import Table

PARTS: Table[Verb] = Table(
    "verb",
    {
        "train": Verb("train a tokenizer on a text", f"{__name__}.train"),
        "show": Verb("how a tokenizer cuts a text", f"{__name__}.show"),
        "compare": Verb("what several tokenizers make of a text", f"{__name__}.compare"),
        "count": Verb("how many tokens files are, and what they cost", f"{__name__}.count"),
        "neighbours": Verb("which tokens a model holds near a token", f"{__name__}.neighbours"),
    },
)


def run(args: Sequence[str]) -> int:
    """One of the parts."""
    return run_part(PARTS, args, "tokenizer", "Train a tokenizer, and see what it does to a text.")
