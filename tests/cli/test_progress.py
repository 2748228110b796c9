"""The live line of a terminal, and the plain lines of everything else."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from penjing.cli.progress import LIVE_SECONDS, PLAIN_SECONDS, Progress
from penjing.cli.text import safe
from penjing.core.events import Event

START = Event("start", {"steps": 1000, "tokens_per_step": 64, "epochs": 1.0})
EVAL = Event("eval", {"step": 3, "loss": 4.5, "perplexity": 90.0, "bits_per_byte": 2.0})

DATA = {
    "documents": 1,
    "characters": 9,
    "bytes": 9,
    "train_bytes": 8,
    "validation_bytes": 1,
    "sources": ["a"],
}


def step(number: int, steps: int = 1000) -> Event:
    figures = {"loss": 3.0, "tokens_per_second": 1e4, "eta": 5.0}
    return Event("step", {"step": number, "steps": steps, **figures})


def sample(number: int, text: str) -> Event:
    return Event("sample", {"step": number, "prompt": "", "text": text})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def show(events, *, terminal: bool, width: int = 80, seconds: float = 1.0, **options):
    """What is written for events that come `seconds` apart."""
    file, clock = io.StringIO(), Clock()
    console = Console(
        file=file, force_terminal=terminal, width=width, markup=False, highlight=False, **options
    )
    with Progress(console, clock) as progress:
        for event in events:
            progress(event)
            clock.now += seconds
    return file.getvalue(), progress


def test_a_pipe_gets_plain_lines_now_and_then():
    text, _ = show([START, *map(step, range(1, 1001))], terminal=False, seconds=0.5)
    lines = text.splitlines()
    steps = [int(m[1]) for line in lines if (m := re.match(r"step (\d+)/1000 .* loss", line))]
    assert steps[:3] == [1, 11, 21] and steps[-1] == 1000  # every 5 seconds, and the last
    assert len(steps) == 1000 * 0.5 / PLAIN_SECONDS + 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)


def test_a_pipe_gets_every_evaluation_and_its_loss_later():
    text, _ = show([START, step(1), EVAL, *map(step, range(2, 8))], terminal=False)
    assert text.count("validation loss 4.500") == 1
    assert "loss 3.000  val 4.500  2.000 bits/byte" in text


def test_a_terminal_has_one_live_line_drawn_at_most_eight_times_a_second():
    often, _ = show(map(step, range(1, 901)), terminal=True, seconds=0.001)
    seldom, _ = show(map(step, range(1, 901)), terminal=True, seconds=LIVE_SECONDS * 1.01)
    assert often.count("/1000") <= 0.9 / LIVE_SECONDS + 2  # the first, and the last once more
    assert seldom.count("/1000") == 900 + 1
    assert "\x1b[2K" in often  # drawn over, not below


def test_a_terminal_keeps_evaluations_above_the_live_line():
    text, _ = show([START, step(1), EVAL, step(2)], terminal=True)
    assert re.search(r"validation loss 4.500, perplexity 90.0, 2.000 bits per byte\n", text)
    assert "val 4.500" in text


def test_a_narrow_ascii_terminal():
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    console = Console(file=file, force_terminal=True, width=20, no_color=True)
    with Progress(console) as progress:
        for event in (START, EVAL, step(500), Event("data", DATA)):
            progress(event)
    file.flush()
    assert "step 500/1000" in raw.getvalue().decode()
    assert r"\u2026" not in raw.getvalue().decode()


@pytest.mark.parametrize("width", [30, 80])
def test_the_live_line_fits_the_terminal(width):
    text, _ = show([START, step(500), step(501)], terminal=True, width=width, no_color=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    drawn = [line for line in re.split(r"[\r\n]", plain) if "step 50" in line]
    assert all("0:05 left" in line for line in drawn)
    assert drawn and max(map(cell_len, drawn)) <= width
    assert all(("━" in line) == (width == 80) for line in drawn)  # the bar goes first


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_all_figures_and_the_bar_share_the_width(width):
    full = {**step(500).data, "mfu": 0.4, "grad_norm": 1.0}
    events = [START, EVAL, Event("step", full), Event("step", full)]
    text, _ = show(events, terminal=True, width=width, no_color=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    drawn = [line for line in re.split(r"[\r\n]", plain) if "step 500/1000" in line]
    assert drawn and max(map(cell_len, drawn)) <= width
    assert all("━" in line and "0:05 left" in line for line in drawn)
    assert all(("MFU 40%" in line) == (width >= 100) for line in drawn)
    assert all(("norm 1" in line) == (width >= 140) for line in drawn)


def test_a_diagnosis_stays_above_the_live_line_in_its_colour():
    found = {"step": 3, "severity": "error", "title": "t", "evidence": "证据", "remedy": "r"}
    text, _ = show([START, step(1), Event("diagnosis", found), step(2)], terminal=True)
    assert re.search(r"\x1b\[31mstep 3     error: t", text) and "  | 证据" in text


def test_no_color(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text, _ = show([START, step(500), step(501)], terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


@pytest.mark.parametrize("terminal", [True, False])
def test_chinese_is_never_broken(terminal):
    poem = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。" * 8
    text, _ = show([START, sample(3, poem)], terminal=terminal, width=31)
    assert poem in text


def test_control_characters_of_a_sample_are_shown_not_obeyed():
    text, _ = show([START, sample(3, "a\x1b[2Jb\x07\x9bc\td")], terminal=False)
    assert r"a\x1b[2Jb\x07\x9bc" in text and "\x1b" not in text


def test_safe_keeps_all_other_text():
    text = "a\tb\nc é 床 😀 ␣ \u00a0"
    assert safe(text) == text


def test_the_last_sample_is_kept_for_the_report():
    text, progress = show([START, sample(3, "early"), sample(1000, "late")], terminal=False)
    assert "early" in text and "late" not in text
    assert progress.latest["sample"].data["text"] == "late"
