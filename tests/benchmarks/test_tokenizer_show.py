"""The benchmark of `tokenizer show` runs, with no claim about speed."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.network
def test_every_vocabulary_shows_every_text(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = __import__("tokenizer_show")
    out = tmp_path / "results.json"
    out.write_text('{"training": 1}', encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["tokenizer_show", "--rounds", "2", "--out", str(out)])
    benchmark.main()
    results = json.loads(out.read_text(encoding="utf-8"))
    assert results["training"] == 1  # the other rows stay
    row = results["show"]
    assert len(row["texts"]) == len(benchmark.VOCABULARIES) * len(benchmark.TEXTS)
    assert row["slowest_ms"] == max(each["ms"] for each in row["texts"])
    assert all(0 < each["quickest_ms"] <= each["ms"] for each in row["texts"])
    assert row["reached"] == (row["slowest_ms"] < 50)
    for name in ("tokenizer_show", "machine"):
        sys.modules.pop(name, None)


def test_the_results_that_are_kept_reached_what_is_needed() -> None:
    results = json.loads((BENCHMARKS / "results" / "tokenizers.json").read_text(encoding="utf-8"))
    assert results["show"]["reached"] and results["show"]["characters"] == 1000
