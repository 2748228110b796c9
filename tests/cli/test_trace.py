"""The table of one step of generation."""

import io
import math

import pytest
from rich.console import Console

from penjing.cli.console import make_console
from penjing.cli.trace import show_trace
from penjing.core.types import Candidate, FilterRecord, TokenStep

TOKENS = [" the", "\u00a0x", "a b c", "\u3000床前", "\n", "\x1b[2J"]


def table(width: int) -> list[str]:
    top = tuple(Candidate(id, text, math.log(0.125)) for id, text in enumerate(TOKENS))
    record = FilterRecord("repetition_penalty", 4096, top=top[:4], removed=top[2:])
    step = TokenStep(index=0, id=0, text=" the", logprob=math.log(0.125), trace=(record,))
    file = io.StringIO()
    console = Console(file=file, width=width, markup=False, highlight=False)
    show_trace(console, step, " the")
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [64, 76, 90, 120, 200])
def test_a_candidate_stays_on_one_line(width):
    text = "\n".join(table(width))
    for token in ("' the'", "'\u00a0x'", "'a b c'", "'\u3000床前'", "'\\n'", r"'\x1b[2J'"):
        assert f"{token} 0.125" in text, (token, text)


def test_a_wide_terminal_has_them_side_by_side():
    assert len(table(200)) < len(table(76))


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_has_a_list(width):
    lines = table(width)
    assert " repetition_penalty: 4,096 kept" in lines
    for token in ("' the'", "'\u00a0x'", "'a b c'", "'\u3000床前'"):
        assert f"  {token} 0.125" in lines


def test_nothing_to_show_is_an_empty_cell():
    record = FilterRecord("top_k", 5, (), ())
    step = TokenStep(index=0, id=0, text="", logprob=0.0, trace=(record,))
    show_trace(make_console(), step, "")
