"""`penjing demo`: corpus -> tokenizer -> model -> text; `penjing pretrain` with less to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from penjing.cli.arguments import OptionalInt, OptionalPath, parse
from penjing.cli.verbs import pretrain


@dataclass(frozen=True)
class Arguments:
    """Fetch a corpus, train a tokenizer and a model on it, and let the model write."""

    corpus: Literal["shakespeare", "tang", "stdlib"] = "shakespeare"
    """38 plays, Chinese poems, or Python's own source code (which needs no network)"""
    depth: Annotated[OptionalInt, arg(help_behavior_hint="(default: the recipe's)")] = None
    """layers of the model, from which its other sizes follow; more is better and slower"""
    steps: Annotated[OptionalInt, arg(help_behavior_hint="(default: the recipe's)")] = None
    """optimizer steps; fewer is quicker and worse"""
    out: Annotated[OptionalPath, arg(help_behavior_hint="(default: runs/CORPUS, numbered)")] = None
    """a new folder for the run"""


def run(args: Sequence[str]) -> int:
    """Pretrain with the recipe that has the corpus's name."""
    arguments: Arguments = parse(Arguments, args, "demo")
    words: list[str] = [arguments.corpus]
    for option, value in (
        ("--depth", arguments.depth),
        ("--train.steps", arguments.steps),
        ("--out", arguments.out),
    ):
        words += [] if value is None else [option, str(value)]
    return pretrain.run(words)
