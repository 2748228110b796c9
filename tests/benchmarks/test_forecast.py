"""The benchmark of forecasts judges by its limits."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "forecast.py"


@pytest.fixture
def benchmark_forecast(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FILE.parent))
    spec = importlib.util.spec_from_file_location("benchmark_forecast", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "benchmark_forecast", module)
    spec.loader.exec_module(module)
    return module


def row(memory: float, seconds: float) -> dict[str, Any]:
    return {"memory_error": memory, "time_error": seconds}


def test_each_run_must_be_within_both_limits(benchmark_forecast: Any) -> None:
    judge = benchmark_forecast.judge
    good = judge([row(0.14, -0.19), row(-0.14, 0.19)], memory_only=False)
    assert good["passed"] and good["memory_passed"] == good["time_passed"] == 2
    assert not judge([row(0.0, 0.0), row(-0.16, 0.0)], memory_only=False)["passed"]
    late = [row(0.0, 0.21)]
    assert not judge(late, memory_only=False)["passed"]
    assert judge(late, memory_only=True)["passed"]


def test_the_runs_are_settings_that_can_work(benchmark_forecast: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    for name in benchmark_forecast.RUNS:
        config = benchmark_forecast.config(name, tmp_path)
        config.train.check()
        replace(config.model, vocab_size=100).resolve()
