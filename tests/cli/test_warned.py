"""Warnings on the command line: a line each, without a place in the source."""

import io
import warnings

import pytest
from rich.console import Console

from penjing.cli.progress import Progress
from penjing.cli.warned import warnings_shown

MESSAGE = "It is [slow] 慢 here."


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_shown():
        warnings.warn(MESSAGE, RuntimeWarning, stacklevel=1)
    assert capsys.readouterr() == ("", f"{MESSAGE}\n")


def test_it_stands_above_a_live_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    with warnings_shown(), Progress(Console(file=screen, force_terminal=True, width=60)):
        warnings.warn(MESSAGE, RuntimeWarning, stacklevel=1)
    above, _, below = screen.getvalue().partition(MESSAGE)
    assert "reading the text" in above and "reading the text" in below
    assert capsys.readouterr().err == ""


def test_what_is_to_be_an_error_is_one() -> None:
    """As `python -W error` asks."""
    with warnings.catch_warnings(action="error"), warnings_shown(), pytest.raises(RuntimeWarning):
        warnings.warn(MESSAGE, RuntimeWarning, stacklevel=1)
