"""Where text is shown: one rich console for the terminal, plain lines for everything else."""

from rich.console import Console
from rich.text import Text

from penjing.cli.describe import describe, style
from penjing.cli.text import safe
from penjing.core.events import Event, Listener


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


def teller(console: Console) -> Listener:
    """A listener that shows the lines which events leave behind."""

    def tell(event: Event) -> None:
        if line := describe(event):
            show(console, line, style(event))

    return tell
