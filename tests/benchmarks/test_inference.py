"""The benchmark of inference asks, measures and judges as it says: with a contestant made here."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

CONTESTANT = """
import sys
sys.path.insert(0, {folder!r})
from protocol import Contestant, answer, own_output

class Clock(Contestant):
    def prefill(self, ids): return len(ids) / {speed}
    def decode(self, ids, n): return n / {speed}
    def batch(self, prompts, n): return len(prompts) * n / {speed}

replies = own_output()
print("what a library prints is no answer")
answer(Clock(), replies)
"""


@pytest.fixture
def inference(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield __import__("inference")
    for name in ("inference", "machine"):
        sys.modules.pop(name, None)


def command(speed: float) -> list[str]:
    """A contestant that says it makes so many tokens a second."""
    folder = str(BENCHMARKS / "contestants")
    return [sys.executable, "-c", CONTESTANT.format(folder=folder, speed=speed)]


def test_contestants_are_asked_in_turn_and_judged(inference: ModuleType) -> None:
    row = inference.Row("decode", inference.decode(4, 8), "ours", {"theirs": 3.0, "slow": None})
    speeds = {"ours": 700.0, "theirs": 200.0, "slow": 10.0}
    measured = inference.measure(row, {n: command(s) for n, s in speeds.items()}, rounds=2)
    assert {n: measured.median(n) for n in speeds} == pytest.approx(speeds)
    assert all(len(rates) == 2 for rates in measured.rates.values())
    result = inference.judge(row, measured)
    assert result["ratios"] == pytest.approx({"theirs": 3.5, "slow": 70.0})
    assert result["passed"]
    slower = inference.Row("decode", inference.decode(4, 8), "ours", {"theirs": 3.6})
    assert not inference.judge(slower, measured)["passed"]


def test_the_best_of_several_is_what_counts(inference: ModuleType) -> None:
    measured = inference.Measured({"ours": [120.0], "a": [100.0], "b": [90.0]})
    ask = inference.prefill(3)
    for need, passed in ((1.2, True), (1.21, False)):
        rivals = dict.fromkeys(("a", "b"))
        row = inference.Row("prefill", ask, "ours", rivals, best_of=(("a", "b"), need))
        assert inference.judge(row, measured)["passed"] is passed


def test_every_row_has_its_contestants_and_the_rivals_that_are_there(inference: ModuleType) -> None:
    for kinds in ([], ["native"], ["native", "openvino"]):
        names = {name for row in inference.rows(kinds) for name in (row.ours, *row.rivals)}
        assert any(name.startswith("native") for name in names) == ("native" in kinds)
        assert ("openvino Q4_1" in names) == ("openvino" in kinds)


def test_a_contestant_that_ends_is_an_error(inference: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        inference.Process([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_results_are_those_of_the_present_table(inference: ModuleType) -> None:
    results = json.loads(inference.RESULTS.read_text(encoding="utf-8"))
    rows = {row.name: row for row in inference.rows(["native", "openvino"])}
    assert [row["row"] for row in results["rows"]] == list(rows)
    for result in results["rows"]:
        assert set(result["rates"]) == {rows[result["row"]].ours, *rows[result["row"]].rivals}
        assert len(result["rounds"][result["ours"]]) == results["rounds"]
