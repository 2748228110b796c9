"""The log: one JSON object a line, readable also after a kill."""

import json
import math
from pathlib import Path

import pytest

from penjing.core.errors import DataError
from penjing.core.events import Event, JsonLines, read_events, settled


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    events = [Event("step", {"loss": 1.5}, 1.0), Event("sample", {"text": "床前明月光\n"}, 2.0)]
    with JsonLines(log) as write:
        for event in events:
            write(event)
    assert list(read_events(log)) == events


def test_it_is_json_even_for_what_is_no_number(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    with JsonLines(log) as write:
        write(Event("step", {"loss": math.nan, "eta": math.inf}))
    row = json.loads(log.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (row["loss"], row["eta"]) == ("nan", "inf")


def test_a_last_line_cut_short_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    whole = '{"event": "a", "time": 1}\n{"event": "sample", "time": 2, "text": "床前明月光"}'
    for size in range(27, len(whole.encode()) - 1):
        log.write_bytes(whole.encode()[:size])
        assert [e.kind for e in read_events(log)] == ["a"]


def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text('{"event": "a", "time": 1}\nnonsense\n{"event": "b", "time": 2}\n')
    with pytest.raises(DataError, match="line 2"):
        list(read_events(log))


def test_numbers_that_json_lacks_are_written_as_their_names(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "log") as log:
        log(
            Event("health", {"step": 1, "gradients": {"norm": math.inf}, "losses": [math.nan, 1.0]})
        )
    (event,) = read_events(tmp_path / "log")
    assert event.data == {"step": 1, "gradients": {"norm": "inf"}, "losses": ["nan", 1.0]}


def test_what_a_resume_made_void_is_left_out() -> None:
    kinds = [("start", None), ("step", 1), ("step", 2), ("save", 2), ("step", 3), ("done", 3)]
    events = [Event(kind, {} if step is None else {"step": step}) for kind, step in kinds]
    resumed = [Event("resume", {"step": 2}), Event("start", {}), Event("step", {"step": 3})]
    kept = [(e.kind, e.data.get("step")) for e in settled([*events, *resumed])]
    assert kept == [*kinds[:4], ("resume", 2), ("start", None), ("step", 3)]


def test_a_torn_line_is_cut_before_more_is_written(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with JsonLines(file) as log:
        log(Event("step", {"step": 1}))
    with file.open("a") as raw:
        raw.write('{"event": "step", "ti')
    with JsonLines(file) as log:
        log(Event("step", {"step": 2}))
    assert [e.data["step"] for e in read_events(file)] == [1, 2]
