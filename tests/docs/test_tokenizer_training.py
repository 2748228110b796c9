"""docs/tokenizer-training.md: its Python prints what it says, its figures are those measured."""

import json
import re
from pathlib import Path

import pytest

from penjing.report.units import clock, size

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tokenizer-training.md").read_text(encoding="utf-8")
RESULTS = json.loads((ROOT / "benchmarks/results/tokenizers.json").read_text(encoding="utf-8"))


def test_the_example_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (printed,) = re.findall(r"^prints\n\n```\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(code, "tokenizer-training.md", "exec"), {})
    assert capsys.readouterr().out == printed


def training_rows() -> list[str]:
    return [
        f"| {size(row['bytes'])} of {row['text']} | {held(row['ours'])} "
        f"| {held(row['tokenizers'])} | {row['faster']:.1f} |"
        for row in RESULTS["training"]["rows"]
    ]


def held(figures: dict[str, float]) -> str:
    return f"{figures['seconds']:.1f} s, {size(figures['peak_bytes'])}"


def sampling_rows() -> list[str]:
    return [
        f"| {row['text']} | {row['vocab_size']:,} | {size(figure['learned_bytes'])} "
        f"| {figure['bytes_per_token']:.3f} | {figure['more_tokens']:.1%} |"
        for row in RESULTS["sampling"]["rows"]
        for figure in row["samples"]
    ]


def large_rows() -> list[str]:
    return [
        f"| {row['text']} | {clock(row['seconds'])} | {size(row['peak_bytes'])} |"
        for row in RESULTS["large"]["rows"]
    ]


@pytest.mark.parametrize("row", [*training_rows(), *sampling_rows(), *large_rows()])
def test_a_figure_is_one_that_was_measured(row: str) -> None:
    assert row in PAGE.splitlines()


def test_every_measured_merge_is_that_of_tokenizers() -> None:
    assert all(row["identical"] for row in RESULTS["training"]["rows"])


def test_large_texts_stay_in_small_memory() -> None:
    assert all(row["peak_bytes"] < 2e9 for row in RESULTS["large"]["rows"])
