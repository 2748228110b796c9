"""Where text is shown: one rich console for the terminal, plain lines for everything else."""

import re

from rich.console import Console
from rich.text import Text

# What a terminal obeys instead of showing: a byte-level model can write an escape sequence.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    r"""The text with control characters spelled out, as `\x1b`; tabs and line feeds stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class Quiet(Console):
    """A console that leaves a closed pipe to `cli.errors`, as `print` does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console(*, stderr: bool = False) -> Console:
    """Standard output without any guessing at markup, numbers or emoji; NO_COLOR is respected."""
    return Quiet(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def show(console: Console, text: str, style: str = "", *, end: str = "\n") -> None:
    """Print text as it is, but for control characters; the terminal breaks lines, not we.

    rich would break a line at its width; a terminal does so itself, and never inside a wide
    character. What is not a terminal gets the characters alone.
    """
    console.print(Text(safe(text), style=style, end=""), end=end, soft_wrap=True)


def indented(text: str, margin: str = "  ") -> str:
    """Every line behind a margin, so that a sample is seen to be one."""
    return "\n".join(margin + line for line in text.splitlines())
