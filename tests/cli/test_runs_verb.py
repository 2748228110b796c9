"""`penjing runs`: listing, comparing, examining, and the page, from what lies in the folders."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from penjing.core.config import to_dict
from penjing.core.events import Event, JsonLines
from penjing.train.config import PretrainConfig


def write_run(path: Path, *, at: float = 1e9, end: str = "done", seed: int = 0) -> Path:
    """A run of 40 steps whose loss falls and then rises: finished, killed or failed."""
    path.mkdir(parents=True)
    settings = to_dict(PretrainConfig())
    settings["train"] |= {"steps": 40, "seed": seed}
    (path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    rows = [
        ("model", {"family": "qwen3", "parameters": 4_190_000}),
        (
            "start",
            {
                "steps": 40,
                "bytes_per_token": 2.0,
                "baselines": {"uniform": 4.0},
                "epochs": 1.0,
                "train_tokens": 9**9,
            },
        ),
    ]
    for n in range(1, 41):
        figures = {"loss": 2.0 - n / 40, "grad_norm": 0.5, "rate": 1.0}
        rows.append(("step", {"step": n, "steps": 40, "seconds": n * 2.0, **figures,
                              "tokens_per_second": 31_200.0, "tokens": n * 64}))  # fmt: skip
        if n % 10 == 0:
            loss = 2.0 + abs(n - 20) / 10
            bits = loss / math.log(2) / 2
            rows.append(("eval", {"step": n, "loss": loss, "bits_per_byte": bits}))
    if end == "failed":
        rows.append(("nonfinite", {"step": 40, "where": "loss", "action": "stop", "tensor": "t",
                                   "layer": "layers.0", "rows": [1], "text": None}))  # fmt: skip
    if end in ("done", "interrupted"):
        rows.append(("done", {"step": 40, "total_seconds": 90.0, "train_seconds": 80.0,
                              "interrupted": end == "interrupted"}))  # fmt: skip
    with JsonLines(path / "events.jsonl") as log:
        for n, (kind, data) in enumerate(rows):
            log(Event(kind, data, at + n))
    return path


def test_the_list_is_newest_first(penjing, tmp_path):
    write_run(tmp_path / "runs" / "old", at=1e9)
    write_run(tmp_path / "runs" / "新的", at=2e9, end="killed")
    write_run(tmp_path / "runs" / "middle", at=1.5e9, end="failed")
    (tmp_path / "runs" / "a study").mkdir()
    result = penjing("runs")
    assert result.code == 0, result.err
    head, *lines = result.out.splitlines()
    assert head.split()[:4] == ["name", "state", "model", "steps"]
    assert [line.split()[:2] for line in lines] == [
        ["新的", "interrupted"], ["middle", "failed"], ["old", "finished"],
    ]  # fmt: skip
    for part in ("qwen3 4.19M", "40/40", "4.0000", "2.8854", "1.4427 @ 20", "1:30", "31.2k/s"):
        assert part in lines[2], part


def test_a_folder_or_a_run_may_be_named(penjing, tmp_path):
    run = write_run(tmp_path / "there" / "x")
    assert "x " in penjing("runs", "there").out
    assert penjing("runs", str(run)).out == penjing("runs", "list", "there").out


def test_a_run_that_somebody_works_on(penjing, tmp_path):
    run = write_run(tmp_path / "runs" / "x", end="killed")
    held = FileLock(run / "lock")
    with held:
        assert " running " in penjing("runs").out
    assert " interrupted " in penjing("runs").out
    with held:  # looking took nothing away
        assert held.is_locked


def test_a_damaged_run_does_not_hide_the_others(penjing, tmp_path):
    write_run(tmp_path / "runs" / "good")
    bad = write_run(tmp_path / "runs" / "bad")
    (bad / "config.json").write_text("{")
    result = penjing("runs")
    assert result.code == 0 and "bad   damaged" in result.out and "good  finished" in result.out


def test_no_runs_yet(penjing, tmp_path):
    assert "No runs in runs yet. To make one: penjing demo" in penjing("runs").out
    (tmp_path / "empty").mkdir()
    assert "No runs in empty yet" in penjing("runs", "empty").out


def test_two_runs_compared(penjing, tmp_path):
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=7)
    result = penjing("runs", "compare", str(a), str(b), "--out", "both.html")
    assert result.code == 0, result.err
    assert "train.seed  0  7" in result.out and "train.steps" not in result.out
    assert "2.8854" in result.out and "The curves are in both.html" in result.out
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "train.seed" in text and text.count("<svg") == 6
    assert "Settings that differ\n\nnone" in penjing("runs", "compare", str(a), str(a)).out


def test_runs_of_one_name_are_told_apart(penjing, tmp_path):
    for place in ("one", "two"):
        write_run(tmp_path / place / "x")
    out = penjing("runs", "compare", "one/x", "two/x").out
    assert "one/x" in out and "two/x" in out


def test_the_doctor_afterwards(penjing, tmp_path):
    write_run(tmp_path / "x", end="failed")
    result = penjing("runs", "check", "x")
    assert result.code == 0, result.err
    assert "x: failed after 40 of 40 steps, 2.885 bits per byte (uniform 4.000)" in result.out
    assert "error: a number that is not finite" in result.out
    assert "train.optimizer.lr 0.0013" in result.out  # a third of the run's own


def test_settings_of_another_version_do_not_stop_the_doctor(penjing, tmp_path):
    run = write_run(tmp_path / "x", end="failed")
    (run / "config.json").write_text('{"train": {"unknown": 1}}')
    result = penjing("runs", "check", "x")
    assert result.code == 0 and "a number that is not finite" in result.out


def test_a_log_that_lacks_what_the_doctor_looks_at(penjing, tmp_path):
    run = write_run(tmp_path / "x")
    log = (run / "events.jsonl").read_text().replace('"grad_norm"', '"norm"')
    (run / "events.jsonl").write_text(log)
    result = penjing("runs", "check", "x")
    assert result.code == 1 and "it lacks or mistakes a figure ('grad_norm')" in result.err


def test_the_page_anew(penjing, tmp_path):
    write_run(tmp_path / "x")
    result = penjing("runs", "report", "x")
    assert result.code == 0 and result.out == f"Written: {Path('x/report.html')}\n"
    assert "<h1>x</h1>" in (tmp_path / "x" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere",), 1, "There is no folder nowhere."),
        (("check", "nowhere"), 1, "nowhere is no run: there is no such folder."),
        (("report", "runs"), 1, "runs is no run: it has no config.json and no events.jsonl."),
        (("compare", "runs/x"), 2, "Name at least two runs to compare."),
        (("compare", "runs/x", "runs/y"), 1, "y is no run"),
        (("check", "runs/damaged"), 1, "line 1: not an event"),
    ],
)
def test_bad_input_is_one_clear_paragraph(penjing, tmp_path, words, code, said):
    write_run(tmp_path / "runs" / "x")
    damaged = write_run(tmp_path / "runs" / "damaged")
    log = (damaged / "events.jsonl").read_text()
    (damaged / "events.jsonl").write_text("x" + log)
    result = penjing("runs", *words)
    assert result.code == code and said in result.err and result.err.count("\n") == 1


def test_a_log_cut_short_by_a_kill_is_read_as_far_as_it_goes(penjing, tmp_path):
    run = write_run(tmp_path / "runs" / "x", end="killed")
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "st')
    assert "40/40" in penjing("runs").out


@pytest.mark.parametrize(
    "words", [("runs",), ("runs", "check", "runs/x"), ("runs", "report", "runs/x")]
)
def test_reading_loads_no_torch(tmp_path, words):
    write_run(tmp_path / "runs" / "x")
    code = (
        "import sys\nfrom penjing.cli.main import main\n"
        f"assert main({list(words)!r}) == 0\n"
        "assert not {'torch', 'numpy', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ, check=True)
