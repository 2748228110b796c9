"""The benchmark of a GPU, on what is at hand: a tiny model through the same code."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "gpu_throughput.py"


@pytest.fixture
def gpu_throughput(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FILE.parent))
    spec = importlib.util.spec_from_file_location("benchmark_gpu_throughput", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "benchmark_gpu_throughput", module)
    spec.loader.exec_module(module)
    return module


def test_the_tiny_model_runs_through_our_loop(gpu_throughput: Any) -> None:
    assert gpu_throughput.run_penjing(tiny=True, eager=True) > 0


def test_the_shape_is_gpt2_124m_as_transformers_counts_it(gpu_throughput: Any) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from penjing.model.families import skeleton

    with torch.device("meta"):
        theirs = GPT2LMHeadModel(GPT2Config(vocab_size=50304))
    assert skeleton(gpu_throughput.model_config(False)).n_parameters() == theirs.num_parameters()


def test_figures_of_both(gpu_throughput: Any) -> None:
    printed = "0/10 loss: 10.9\ntime per iteration: 100.0000ms, MFU: 30.00%\n"
    assert gpu_throughput.nanogpt_speed(printed) == pytest.approx(122_880)
    runs = {"penjing": [2e5, 1e5, 3e5], "nanoGPT": [1e5, 1e5, 4e5]}
    result = gpu_throughput.summary(runs, peak=312e12, tiny=False)
    assert result["ratio"] == 2.0
    # 6 * 124.4M - the 0.8M of positions, + 12 * 12 layers * 768 * 1024, at 2e5 tokens/s of 312e12.
    assert result["figures"]["penjing"]["mfu"] == pytest.approx(0.548, abs=0.01)
