"""Lines that are printed at once."""

import io

from rich.console import Console

from penjing.cli.lines import BOLD, line, show_lines


def printed(segments, **options) -> str:
    file = io.StringIO()
    show_lines(Console(file=file, width=20, **options), segments)
    return file.getvalue()


def test_nothing_is_broken_or_cut_and_control_characters_are_spelled_out():
    assert printed([line("今" * 30), line("a\x1b[0m")]) == "今" * 30 + "\na\\x1b[0m\n"
    assert printed([]) == ""


def test_colours_are_for_terminals():
    assert printed([line("a", BOLD)]) == "a\n"
    assert "\x1b[1ma" in printed([line("a", BOLD)], force_terminal=True)
