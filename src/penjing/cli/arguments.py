"""From words to typed settings, with tyro; and how this program was called."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from penjing.cli.errors import USAGE

A = TypeVar("A")
_REGISTRY = ConstructorRegistry()


def parse(kind: type[A], args: Sequence[str], verb: str, *, default: A | None = None) -> A:
    """An instance of the dataclass `kind` from the words after the verb.

    A wrong word ends the program with exit code 2 and says what was meant; `--help` with 0.
    """
    preset = tyro.MISSING_NONPROP if default is None else default
    try:
        with _REGISTRY:
            return tyro.cli(kind, args=list(args), prog=f"{program()} {verb}", default=preset)
    except SystemExit as stop:
        if stop.code == USAGE:
            _explain_dashes(args)
        raise


def _explain_dashes(args: Sequence[str]) -> None:
    """A value such as "-x y" is taken for an option, of which ours have no short ones."""
    for option, value in pairwise(args):
        if re.match(r"--[^=]+$", option) and re.match(r"-[^-]", value):
            joined = f"{option}={_quoted(value)}"
            print(f'A value that begins with "-" needs "=": {joined}', file=sys.stderr)


@_REGISTRY.primitive_rule
def _any_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A tuple as tyro reads it; but an empty one is shown as `none`, not as nothing."""
    match get_args(info.type):
        case (read, end) if info.type_origin is tuple and end is ...:
            name = read.__name__.upper()
            return PrimitiveConstructorSpec(
                nargs="*",
                metavar=f"[{name} [{name} ...]]",
                instance_from_str=lambda words: tuple(map(read, words)),
                is_instance=lambda value: isinstance(value, tuple),
                str_from_instance=lambda values: [*map(str, values)] or ["none"],
            )
    return None


def _or_none(read: Callable[[str], Any], name: str) -> PrimitiveConstructorSpec[Any]:
    """An option that may be left out, shown as plain `NAME`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=name,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: value is None or not isinstance(value, tuple),
        str_from_instance=lambda value: ["none" if value is None else str(value)],
    )


def _none_or(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`none` is the same as leaving a number out; a path may have that name."""
    return lambda word: None if word == "none" else read(word)


OptionalInt = Annotated[int | None, _or_none(_none_or(int), "INT")]
OptionalFloat = Annotated[float | None, _or_none(_none_or(float), "FLOAT")]
OptionalText = Annotated[str | None, _or_none(str, "TEXT")]
OptionalPath = Annotated[Path | None, _or_none(Path, "PATH")]

ANY_MODEL = "a run, a model directory, a .gguf file, or a package model such as smollm2"
ANY_TOKENIZER = "a run, a model directory, a tokenizer.json, a .gguf file, or a name such as gpt2"

Sources = Annotated[
    tyro.conf.Positional[tuple[str, ...]],
    tyro.conf.arg(
        metavar="SOURCE [SOURCE ...]",
        help='files, folders, "-" for standard input, or corpora',
        help_behavior_hint="(required)",
    ),
]


def program() -> str:
    """The words that start this program again, as the user typed them."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{_word_for(Path(sys.executable))} -m penjing"
    return _word_for(called) if called.name == "penjing" else "penjing"


def _word_for(called: Path) -> str:
    """The name alone if the shell finds the same file by it, else the path."""
    found = shutil.which(called.name)
    same = found and called.exists() and Path(found).samefile(called)
    return called.name if same else shlex.quote(_short(called))


def command(*words: str) -> str:
    """A command line of ours that can be pasted into a shell."""
    return " ".join([program(), *(_quoted(word) for word in words)])


def _quoted(word: str) -> str:
    """For a shell; with double quotes where that is enough, as people write it."""
    plain = shlex.quote(word)
    return f'"{word}"' if plain != word and not set('"$`\\!\n') & set(word) else plain


def _short(path: Path) -> str:
    """Relative to the working directory if it lies below."""
    whole, here = path.absolute(), Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else path)
