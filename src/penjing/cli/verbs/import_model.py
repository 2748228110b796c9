"""`penjing import`: a GGUF file, a Hugging Face directory or a package model becomes a directory
of ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import OptionalPath, command, parse
from penjing.cli.errors import UsageError

if TYPE_CHECKING:
    from penjing.model.checkpoint import Checkpoint

Row = tuple[str, str]


@dataclass(frozen=True)
class Arguments:
    """Turn a model of another form into a directory of ours, which is also Hugging Face's form."""

    source: Annotated[
        Positional[str],
        arg(
            metavar="[SOURCE]",
            help="a GGUF file, a Hugging Face directory, or the name of a package model",
            help_behavior_hint="",
        ),
    ] = ""
    out: Annotated[OptionalPath, arg(help_behavior_hint="(required)")] = None
    """a new directory for the model"""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """precision of the weights; auto: as stored, and float32 where they are quantized"""
    models: Annotated[FlagCreatePairsOff[bool], arg(name="list")] = False
    """the package models that can be fetched, with their licences"""


def run(args: Sequence[str]) -> int:
    """List the package models, or import one model."""
    arguments: Arguments = parse(Arguments, args, "import")
    if arguments.models:
        _list()
        return 0
    if not arguments.source:
        raise UsageError(
            "Name a GGUF file, a Hugging Face directory or a package model: "
            f"`{command('import', '--list')}` lists these."
        )
    if arguments.out is None:
        raise UsageError("--out is missing: the new directory for the model.")
    _import(arguments, arguments.out)
    return 0


def _list() -> None:
    from penjing.cli.packages import list_packages
    from penjing.formats.package_models import MODELS

    list_packages(
        (name, f"{model.title}; {model.language}", model.package, model.licence)
        for name, model in MODELS.items()
    )


def _import(arguments: Arguments, out: Path) -> None:
    from penjing.cli.console import make_console, show, teller
    from penjing.core.files import check_free
    from penjing.formats.opening import open_checkpoint

    console = make_console()
    check_free(out)
    source = open_checkpoint(arguments.source, listener=teller(console))
    for name, value in _found(source):
        show(console, f"{name:<10} {value}")
    from penjing.formats.importing import import_checkpoint  # now, for it loads torch

    made = import_checkpoint(source, out, arguments.dtype)
    for name, value in _made(made):
        show(console, f"{name:<10} {value}")
    words = ["chat", str(out)] if made.tokenizer.chat_template else ["generate", str(out)]
    show(console, f"\nNext: {command(*words)}")


def _found(source: "Checkpoint") -> Iterator[Row]:
    from penjing.formats.importing import stored_types
    from penjing.model.families import skeleton

    config, tokenizer = source.config, source.tokenizer
    n_parameters = skeleton(config).n_parameters()
    types = ", ".join(f"{n} x {kind}" for kind, n in stored_types(source).items())
    yield "source", str(source.path)
    yield (
        "model",
        f"{config.family}, {n_parameters:,} parameters, {config.n_layer} layers of "
        f"{config.n_embd}, context {config.context_length:,}",
    )
    yield "tensors", types
    yield "tokenizer", f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens"
    yield "template", "for chats" if tokenizer.chat_template else "none"


def _made(made: "Checkpoint") -> Iterator[Row]:
    from penjing.report.units import size

    total = sum(file.stat().st_size for file in made.path.iterdir())
    yield "made", f"{made.path}, {size(total)} in {made.lineage[-1].settings['dtype']}"
