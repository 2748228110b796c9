"""What a run ends with on the screen."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from penjing.cli.report import interrupted, report
from penjing.core.events import Event

START = {
    "steps": 800,
    "tokens_per_step": 4096,
    "baselines": {"uniform": 3.75, "unigram": 2.98, "bigram": 2.31, "trigram": 2.2},
}
DONE = {
    "step": 800,
    "loss": 4.25,
    "perplexity": 70.1,
    "bits_per_byte": 1.94,
    "best_step": 640,
    "best_loss": 4.125,
    "train_seconds": 105.0,
    "save_seconds": 2.0,
    "total_seconds": 120.0,
    "interrupted": False,
    "path": "runs/x",
}


@pytest.fixture(autouse=True)
def called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["penjing"])


def shown(write) -> str:
    file = io.StringIO()
    write(Console(file=file, width=60, markup=False, highlight=False))
    return file.getvalue()


def closing(done) -> str:
    sample = Event("sample", {"step": 800, "prompt": "床前", "text": "明月光\n疑是"})
    latest = {"start": Event("start", START), "sample": sample}
    return shown(lambda console: report(console, Path("runs/x"), done, latest, "床前"))


def test_figures_places_and_what_to_do_next():
    text = closing(DONE)
    for part in (
        "  床前明月光\n  疑是\n",
        "1.9400 (unigram 2.98, bigram 2.31, trigram 2.20)",
        "4.1250 after step 640: that is model/",
        "31,208 tokens/s",
        "2.0 minutes",
        "model/ ", "checkpoints/ ", "report.html ", "events.jsonl ", "config.json ",
        'penjing generate runs/x --prompt "床前"',
    ):  # fmt: skip
        assert part in text, part


def test_the_best_step_is_told_only_if_it_is_not_the_last():
    assert "best loss" not in closing({**DONE, "best_step": 800})
    assert "best loss" not in closing({**DONE, "best_step": None, "best_loss": None})


def test_a_run_that_was_never_evaluated():
    never = dict.fromkeys(("loss", "perplexity", "bits_per_byte", "best_step", "best_loss"))
    text = closing({**DONE, **never})
    assert "validation loss" not in text and "31,208 tokens/s" in text


def test_ctrl_c_says_how_to_go_on():
    text = shown(lambda console: interrupted(console, Path("runs/my run"), 40))
    assert "Interrupted after 40 steps" in text
    assert 'penjing pretrain --resume "runs/my run"' in text
    assert 'penjing generate "runs/my run"' in text
