"""A run's log, read without trust."""

import json
import math

import pytest

from penjing.core.errors import DataError
from penjing.core.events import Event
from penjing.report.log import RunLog, flat, real, setting


def made(kind: str, /, **data: object) -> Event:
    return Event(kind, data, 1.0)


def test_numbers_of_a_log_are_read_as_they_are_meant():
    assert real("nan") != real("nan") and real("inf") == math.inf and real("-inf") == -math.inf
    assert [real(v) for v in (1, 2.5, "3")] == [1.0, 2.5, 3.0]
    assert all(math.isnan(real(v)) for v in (None, "x", True, [1], {}))


def test_a_run_from_its_folder(make_run):
    log = RunLog.read(make_run())
    assert (log.name, log.state, log.step, log.steps) == ("tang", "finished", 100, 100)
    assert log.best() == (50, pytest.approx(2.25 / math.log(2) / 2))
    assert log.expected == (1.5, 1.6) and list(log.baselines) == [
        "uniform", "unigram", "bigram", "trigram",
    ]  # fmt: skip
    points = dict(log.points("step", "loss"))
    assert math.isnan(points[52]) and 51 not in points and len(points) == 99
    assert log.points("health", "gradients", "layers.1") == [(50, 0.25), (100, 0.25)]
    assert log.names("health", "dead") == ["layers.0"]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (made("done", interrupted=False), "finished"),
        (made("done", interrupted=True), "interrupted"),
        (made("step", step=3), "interrupted"),
        (made("nonfinite", step=3, action="stop"), "failed"),
        (made("nonfinite", step=3, action="skip"), "interrupted"),
    ],
)
def test_how_a_run_ended(last, state):
    events = [made("start", steps=9), made("step", step=2), last, made("diagnosis", step=3)]
    assert RunLog.of({}, events).state == state


def test_what_a_resume_made_void_is_left_out():
    steps = [made("step", step=n, loss=float(n)) for n in (1, 2, 3)]
    again = [made("resume", step=1), made("step", step=2, loss=7.0)]
    log = RunLog.of({}, [*steps, *again])
    assert log.points("step", "loss") == [(1, 1.0), (2, 7.0)]


def test_a_run_that_rolled_back_counts_its_later_steps():
    steps = [made("step", step=n, loss=float(n)) for n in (1, 2, 3, 4)]
    log = RunLog.of({}, [*steps, made("step", step=3, loss=9.0)])
    assert log.points("step", "loss") == [(1, 1.0), (2, 2.0), (3, 9.0)]


def test_bits_per_byte_of_a_log_that_has_only_losses():
    log = RunLog.of(
        {},
        [
            made("start", unigram_bits_per_byte=3.0),
            made("step", step=1, loss=math.log(2) * 4),
            made("eval", step=1, loss=math.log(2) * 4, bits_per_byte=2.0),
        ],
    )
    assert log.bytes_per_token == pytest.approx(2.0)
    assert log.bits_per_byte("step") == [(1, pytest.approx(2.0))]
    assert log.baselines == {"unigram": 3.0}


def test_fields_of_other_types_do_no_harm():
    odd = [
        made("start", baselines=[1], expected="x", steps="many"),
        made("step", step="x", loss={}),
        made("step", loss=1.0),
        made("health", step=1, gradients=5, dead={"a": "nan"}),
        made("eval", step=2, bits_per_byte=None, loss="inf"),
        made("done", step=None, path=7),
    ]
    log = RunLog.of({"train": 3}, odd)
    assert (log.name, log.step, log.steps, log.baselines) == ("run", 2, 0, {})
    assert log.expected is None and log.best() is None and log.points("step", "loss") == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: (run / "config.json").unlink(), "has no config.json"),
        (lambda run: (run / "events.jsonl").unlink(), "has no events.jsonl"),
        (lambda run: (run / "config.json").write_text("{"), "config.json is damaged"),
        (lambda run: (run / "config.json").write_text("[1]"), "no table of settings"),
        (lambda run: (run / "events.jsonl").write_text("{}\n{}\n"), "line 1: not an event"),
        (lambda run: (run / "events.jsonl").write_text("[1]\n\n"), "line 1: not an event"),
    ],
)
def test_a_damaged_run_says_where(make_run, damage, said):
    run = make_run()
    damage(run)
    with pytest.raises(DataError, match=said):
        RunLog.read(run)


def test_no_run_at_all(tmp_path):
    with pytest.raises(DataError, match="nowhere is no run: there is no such folder"):
        RunLog.read(tmp_path / "nowhere")


def test_thousands_of_lines_are_read(make_run):
    run = make_run()
    line = {"event": "step", "time": 1.0, "loss": 1.0, "grad_norm": 0.5, "rate": 1.0}
    with (run / "events.jsonl").open("a", encoding="utf-8") as file:
        for n in range(101, 20_101):
            file.write(json.dumps({**line, "step": n}) + "\n")
    assert len(RunLog.read(run).points("step", "loss")) > 20_000


def test_settings_by_their_names_and_as_one_writes_them(config):
    names = flat(config)
    assert names["train.steps"] == 100 and names["data.sources"] == ["corpus:tang"]
    values = [setting(v) for v in (None, "", [], [64, 128], True, 0.5)]
    assert values == ["auto", '""', "none", "64 128", "True", "0.5"]
