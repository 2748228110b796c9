"""The benchmarks of speed run, and judge as they say: tried small, with no claim about speed."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import penjing
from penjing.model.config import ModelConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """The module of that name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield __import__(request.param)
    for name in (request.param, "machine"):
        sys.modules.pop(name, None)


def module(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("benchmark", [name], indirect=True)


@module("throughput")
def test_all_contestants_of_throughput_run(benchmark: ModuleType) -> None:
    config = ModelConfig(family="gpt2", vocab_size=65, n_layer=1, n_embd=32, context_length=16)
    config = config.resolve()
    result = benchmark.measure(config, batch_size=2, rounds=1, steps=2)
    assert len(result["runs"]) == 5
    assert all(row["tokens_per_second"] > 0 for row in result["runs"].values())
    theirs = benchmark.PlainGPT(config, fused=True).parameters()
    assert result["parameters"] == sum(p.numel() for p in theirs)


@module("throughput")
def test_ours_is_held_against_the_faster_of_two(benchmark: ModuleType) -> None:
    rates = {"ours": 250, "plain float32": 90, "plain float32, written out": 100, "plain bf16": 200}
    runs = {name: {"tokens_per_second": rate} for name, rate in rates.items()}
    assert benchmark.judge(runs)["ratios"] == {"plain bf16": 1.25, "plain float32": 2.5}
    assert benchmark.judge(runs)["passed"]
    runs["plain bf16, written out"] = {"tokens_per_second": 251}
    assert not benchmark.judge(runs)["passed"]


@module("overhead")
def test_overhead_is_what_lies_between_the_steps(benchmark: ModuleType) -> None:
    begins = [0.0, 10.0, 20.0, 30.0, 40.0]
    ends = [5.0, 15.0, 29.9, 39.7, 49.8]
    result = benchmark.judge(begins, ends)
    assert result["overhead_seconds"] == pytest.approx(0.2)  # of 0.1 and 0.3
    assert result["step_seconds"] == pytest.approx(0.2 + 9.8)
    assert not result["passed"]


@module("overhead")
def test_overhead_is_measured(benchmark: ModuleType, tmp_path: Path) -> None:
    text = tmp_path / "words.txt"
    text.write_text(benchmark.WORDS * 100)
    result = benchmark.measure(text, tmp_path / "run", 4, 1)
    assert 0 < result["overhead_seconds"] < result["step_seconds"]


@module("shakespeare_char")
def test_the_recipe_is_judged_by_transformers_too(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "input.txt"
    text.write_text("".join(f"{i} bottles of beer on the wall,\n" for i in range(600)))
    recipe = penjing.recipe("shakespeare-char", 1)
    short = replace(recipe, train=replace(recipe.train, steps=2, batch_size=2, sample_tokens=1))
    monkeypatch.setattr(penjing, "recipe", lambda name: {"shakespeare-char": short}[name])
    row = benchmark.train(text, 0, tmp_path)
    assert row["architecture"] == "Qwen3ForCausalLM"
    assert row["transformers_loss"] == pytest.approx(row["loss"], abs=0.02)
    assert row["steps"] == 2 and row["tokens"] == 2 * 2 * 256


@module("shakespeare_char")
@pytest.mark.parametrize(
    ("loss", "theirs", "seconds", "architecture", "passes"),
    [
        (1.4697, 1.4697, 720, "Qwen3ForCausalLM", 1),
        (1.4698, 1.4, 100, "Qwen3ForCausalLM", 0),
        (1.4, 1.4698, 100, "Qwen3ForCausalLM", 0),
        (1.4, 1.4, 721, "Qwen3ForCausalLM", 0),
        (1.4, 1.4, 100, "GPT2LMHeadModel", 0),
    ],
)
def test_the_judge_of_the_recipe(
    benchmark: ModuleType,
    loss: float,
    theirs: float,
    seconds: float,
    architecture: str,
    passes: int,
) -> None:
    row = {"loss": loss, "transformers_loss": theirs, "train_seconds": seconds}
    assert benchmark.judge([row | {"architecture": architecture}])["passed"] == passes
