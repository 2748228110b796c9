"""From words to typed settings, with tyro; and how this program was called."""

import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import PrimitiveConstructorSpec

A = TypeVar("A")


def parse(kind: type[A], args: Sequence[str], verb: str, *, default: A | None = None) -> A:
    """An instance of the dataclass `kind` from the words after the verb.

    A wrong word ends the program with exit code 2 and says what was meant; `--help` with 0.
    """
    preset = tyro.MISSING_NONPROP if default is None else default
    return tyro.cli(kind, args=list(args), prog=f"{program()} {verb}", default=preset)


def _or_none(read: Callable[[str], Any], name: str) -> PrimitiveConstructorSpec[Any]:
    """An option that may be left out, shown as plain `NAME`; `auto` is the same as leaving it."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=name,
        instance_from_str=lambda words: None if words[0] == "auto" else read(words[0]),
        is_instance=lambda value: value is None or not isinstance(value, tuple),
        str_from_instance=lambda value: ["auto" if value is None else str(value)],
    )


OptionalInt = Annotated[int | None, _or_none(int, "INT")]
OptionalFloat = Annotated[float | None, _or_none(float, "FLOAT")]
OptionalPath = Annotated[Path | None, _or_none(Path, "PATH")]


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
