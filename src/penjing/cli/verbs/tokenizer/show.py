"""`penjing tokenizer show`: how a tokenizer cuts a text, and why so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import ANY_TOKENIZER, parse

if TYPE_CHECKING:
    from penjing.tokenizer.steps import Explainer
    from penjing.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Arguments:
    """Show the pieces of a text: ids, bytes, where they stand, and half characters as bytes."""

    text: Annotated[Positional[str], arg(metavar="TEXT", help='the text; "-" reads standard input')]
    tokenizer: Annotated[str, arg(help=ANY_TOKENIZER)]
    steps: FlagCreatePairsOff[bool] = False
    """how each piece came about: merges, longest matches, or likeliest paths"""
    special: FlagCreatePairsOff[bool] = False
    """read <|endoftext|> and the like in the text as special tokens"""
    json: FlagCreatePairsOff[bool] = False
    """everything as one JSON object"""


def run(args: Sequence[str]) -> int:
    """Encode and print."""
    arguments: Arguments = parse(Arguments, args, "tokenizer show")
    from penjing.cli.console import make_console, teller
    from penjing.cli.pieces import show_pieces
    from penjing.cli.prompt import read_prompt
    from penjing.cli.steps import show_steps
    from penjing.formats.package_tokenizers import open_tokenizer
    from penjing.tokenizer.view import view_text

    listener = teller(make_console(stderr=True))
    tokenizer = open_tokenizer(arguments.tokenizer, listener=listener)
    view = view_text(tokenizer, read_prompt(arguments.text), allow_special=arguments.special)
    explainer = _explainer(tokenizer, arguments.tokenizer) if arguments.steps else None
    explained = explainer.explain(view) if explainer else []
    if arguments.json:
        import json

        from penjing.cli.text import safe_json

        whole = view.to_json()
        if explainer:
            whole["steps"] = [each.to_json() for each in explained]
        print(safe_json(json.dumps(whole, ensure_ascii=False)))
        return 0
    console = make_console()
    show_pieces(console, view)
    show_steps(console, tokenizer, explained)
    return 0


def _explainer(tokenizer: "Tokenizer", name: str) -> "Explainer":
    """With the counts of training, if they lie beside the tokenizer."""
    from penjing.model.checkpoint import model_directory
    from penjing.tokenizer.record import load_record
    from penjing.tokenizer.steps import Explainer

    path = Path(name)
    folder = model_directory(path) if path.is_dir() else path.parent
    record = load_record(folder, tokenizer) if path.exists() else None
    return Explainer(tokenizer, [merge.count for merge in record.merges] if record else None)
