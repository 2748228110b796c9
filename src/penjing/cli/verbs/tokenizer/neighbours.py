"""`penjing tokenizer neighbours`: which tokens a model's embedding table holds near a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import ANY_MODEL, OptionalInt, parse
from penjing.cli.errors import UsageError

if TYPE_CHECKING:
    from penjing.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Arguments:
    """Look into a model's embedding table: the nearest neighbours of each token of a text."""

    model: Annotated[str, arg(help=ANY_MODEL)]
    text: Annotated[
        Positional[str],
        arg(
            metavar="[TEXT]",
            help='"king" and " king" are two tokens; "-" reads standard input',
            help_behavior_hint="(or --id)",
        ),
    ] = ""
    id: Annotated[OptionalInt, arg(help_behavior_hint="(instead of a text)")] = None
    """a token by its number"""
    n: int = 10
    """how many neighbours"""
    measure: Literal["cosine", "dot", "distance"] = "cosine"
    """cosine of the angle, product of the vectors, or distance of their ends"""
    table: Literal["embedding", "head"] = "embedding"
    """the table that reads tokens, or the one that gives the logits"""
    centred: FlagCreatePairsOff[bool] = False
    """take off what the vectors of all tokens have in common"""


def run(args: Sequence[str]) -> int:
    """Read the table, and print the neighbours of each token."""
    arguments: Arguments = parse(Arguments, args, "tokenizer neighbours")
    from penjing.cli.columns import show_columns
    from penjing.cli.console import make_console, show, teller
    from penjing.cli.prompt import read_prompt
    from penjing.core.errors import DataError
    from penjing.formats.opening import open_checkpoint
    from penjing.model.embeddings import read_embeddings
    from penjing.tokenizer.view import shown

    if (arguments.id is None) == (arguments.text == ""):
        raise UsageError('Name a text or an --id: penjing tokenizer neighbours " king" --model M.')
    if arguments.n < 1:
        raise UsageError(f"--n must be at least 1, got {arguments.n}.")
    checkpoint = open_checkpoint(arguments.model, listener=teller(make_console(stderr=True)))
    tokenizer = checkpoint.tokenizer
    if arguments.id is None:
        ids = list(dict.fromkeys(tokenizer.encode(read_prompt(arguments.text))))
        if not ids:
            raise DataError("The text has no token: it is empty.")
    else:
        tokenizer.token_of(arguments.id)  # an error, if there is none
        ids = [arguments.id]
    embeddings = read_embeddings(checkpoint, arguments.table, centred=arguments.centred)
    console = make_console()
    for n, id in enumerate(ids):
        found = embeddings.nearest(id, arguments.n, arguments.measure)
        show(console, "" if not n else "\n", end="")
        show(console, f"{shown(tokenizer, tokenizer.token_of(id))}  id {id}", "bold")
        show(
            console,
            f"length {found.norm:.3f}; {arguments.measure} to all others: mean {found.mean:.3f}, "
            f"standard deviation {found.deviation:.3f}",
        )
        rows = [
            (f"{each.score:.3f}", str(each.id), _name(tokenizer, each.id)) for each in found.nearest
        ]
        show_columns(console, (arguments.measure, "id", "token"), rows, right=(0, 1))
    return 0


def _name(tokenizer: "Tokenizer", id: int) -> str:
    """A token for showing; a vocabulary may leave numbers out."""
    from penjing.core.errors import TokenizerError
    from penjing.tokenizer.view import shown

    try:
        return shown(tokenizer, tokenizer.token_of(id))
    except TokenizerError:
        return "(no token)"
