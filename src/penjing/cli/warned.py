"""Warnings on the command line: one line for each, as soon as it comes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def warnings_shown(console: "Console | None" = None) -> Iterator[None]:
    """Inside, warnings are lines without a place in the source; on standard error by default."""
    from penjing.cli.console import make_console, show

    shown_on = console or make_console(stderr=True)

    def tell(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        show(shown_on, str(message), "yellow")

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield
