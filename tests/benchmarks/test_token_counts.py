"""docs/token-counts.md says what was measured, and what was measured can be measured again."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield __import__("token_counts")
    sys.modules.pop("token_counts")


@pytest.fixture
def results(benchmark: ModuleType) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))
    return whole


def test_the_page_and_its_charts_are_those_of_the_results(
    benchmark: ModuleType, results: dict[str, Any]
) -> None:
    page = benchmark.PAGE.read_text(encoding="utf-8")
    assert benchmark.filled(page, results) == page
    for name in benchmark.sections(results):
        assert f"<!-- {name} -->" in page
    for name, svg in benchmark.charts(results).items():
        assert (benchmark.PAGE.parent / name).read_text(encoding="utf-8") == svg
        assert f"({name})" in page


def test_what_the_page_says_in_words_holds(results: dict[str, Any]) -> None:
    texts = {name: text["vocabularies"] for name, text in results["texts"].items()}
    words = {name: {k: 1 / v["tokens_per_word"] for k, v in texts[name].items()}
             for name in ("wiki", "stdlib")}  # fmt: skip
    assert all(abs(n - 0.75) < 0.05 for n in words["wiki"].values())
    assert max(words["stdlib"].values()) < 0.5
    assert min(words["stdlib"], key=words["stdlib"].get) == "gpt2"
    for name in ("dictionary", "tang"):
        han = {k: v["fertility"]["Han"] for k, v in texts[name].items()}
        assert han["bert"] == pytest.approx(1, abs=0.005)
        assert texts[name]["bert"]["unknown"] > 0.5 * texts[name]["bert"]["tokens"]
        assert han["gpt2"] > 2 > han["cl100k"] > han["o200k"] > han["qwen"] > han["deepseek"]
        assert texts[name]["gpt2"]["fragment_share"] > 0.8
    assert all(v["fertility"]["Han"] > texts["dictionary"][k]["fertility"]["Han"] - 0.005
               for k, v in texts["tang"].items())  # fmt: skip


@pytest.mark.network
def test_the_example_is_real(
    benchmark: ModuleType, results: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.example() == results["example"]


@pytest.mark.network
def test_a_text_is_measured_again(
    benchmark: ModuleType, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "TEXTS", {"dictionary": "modern Chinese"})
    known = {name: benchmark.TOKENIZERS[name] for name in ("gpt2", "bert")}
    monkeypatch.setattr(benchmark, "TOKENIZERS", known)
    found = benchmark.measure(20_000)
    assert found["vocabularies"].items() <= results["vocabularies"].items()
    before, now = results["texts"]["dictionary"], found["texts"]["dictionary"]
    assert now.keys() == before.keys() and now["characters"] > 15_000
    for name, figures in now["vocabularies"].items():
        expected = before["vocabularies"][name]["fertility"]["Han"]
        assert figures["fertility"]["Han"] == pytest.approx(expected, rel=0.05)
