"""Tables that line up, whatever the script and the width."""

import io

import pytest
from rich.console import Console

from penjing.cli.columns import aligned, show_columns

HEADER = ("a", "b", "c")
ROWS = [("床前明月", "7777777", "c"), ("x", "8", "cc")]


def shown(rows, **options) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=options.pop("width", 20), **options.pop("console", {}))
    show_columns(console, HEADER, rows, **options)
    return file.getvalue().splitlines()


def test_columns_line_up_whatever_the_script():
    rows = [("1", "今天", "x"), ("23", "a", "y" * 30)]
    assert aligned([("n", "word", "end"), *rows], right=(0,)) == [
        " n  word  end", " 1  今天  x", "23  a     " + "y" * 30,
    ]  # fmt: skip


TWO_WIDE = ["床", "𠮷", "한", "👨\u200d👩\u200d👧\u200d👦", "❤\ufe0f"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("é", 1), ("e\u0301", 1), *((text, 2) for text in TWO_WIDE)],
)
def test_the_width_is_that_of_a_terminal(text, columns):
    first, second = aligned([(text, "|"), ("-" * 6, "|")])
    assert first == text + " " * (6 - columns) + "  |" and second == "------  |"


def test_what_would_break_a_line_is_spelled_out():
    assert aligned([("a\tb\nc\x1b", "d")]) == ["a\\tb\\nc\\x1b  d"]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (80, ["a               b  c", "床前明月  7777777  c", "x               8  cc"]),
        (16, ["a         c", "床前明月  c", "x         cc"]),
        (8, ["a", "床前明月", "x"]),
        (3, ["a", "床前明月", "x"]),
    ],
)
def test_a_narrow_terminal_leaves_columns_out(width, lines):
    terminal = {"force_terminal": True, "no_color": True, "color_system": None}
    assert shown(ROWS, width=width, console=terminal, right=(1,), optional=(1, 2)) == lines


def test_a_pipe_gets_all_columns():
    assert shown(ROWS, width=8, right=(1,), optional=(1, 2))[1] == "床前明月  7777777  c"


def test_the_header_is_bold():
    header, first, _ = shown(ROWS, console={"force_terminal": True, "color_system": "standard"})
    assert header.startswith("\x1b[1m") and "\x1b[1m" not in first
