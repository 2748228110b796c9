"""Warnings on the command line: one line for each, as soon as it comes."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Inside, warnings are lines on standard error, without a place in the source."""
    with warnings.catch_warnings():
        warnings.showwarning = _tell
        yield


def _tell(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    from penjing.cli.console import make_console, show

    console = make_console(stderr=True)
    with console.capture() as styled:
        show(console, str(message), "yellow")
    sys.stderr.write(styled.get())  # a live line, while there is one, puts what comes here above it
