"""A run's story, as its log tells it, and a run's folder that holds one."""

import json
import math
from pathlib import Path

import pytest

from penjing.core.events import Event, JsonLines

CONFIG = {
    "data": {"sources": ["corpus:tang"], "validation_fraction": 0.05},
    "model": {"n_layer": 2, "family": "qwen3", "vocab_size": None},
    "train": {"steps": 100, "sample_prompt": "", "short_contexts": []},
}


def made(kind: str, /, **data: object) -> Event:
    return Event(kind, data, 1.7e9)


def step(number: int, loss: object = None, **more: object) -> Event:
    loss = 2.0 + math.exp(-number / 20) if loss is None else loss
    bits = loss / math.log(2) / 2 if isinstance(loss, float) else loss
    figures = {
        "loss": loss,
        "bits_per_byte": bits,
        "rate": 1.0,
        "grad_norm": 0.5,
        "tokens": number * 64,
        "tokens_per_second": 1234.0,
        "mfu": 0.41,
        "seconds": number * 0.05,
        "eta": 1.0,
    }
    return made("step", step=number, steps=100, **figures | more)


def evaluated(number: int, loss: float = 2.5) -> Event:
    return made(
        "eval",
        step=number,
        loss=loss,
        perplexity=math.exp(loss),
        bits_per_byte=loss / math.log(2) / 2,
        n_tokens=10,
        n_bytes=20,
        seconds=0.1,
    )


def story() -> list[Event]:
    """A finished run of 100 steps with everything that can happen in one."""
    layers = {"embedding": 1.0, "layers.0": 0.5, "layers.1": 0.25}
    return [
        made("data", documents=3, characters=900, bytes=1000, train_bytes=900,
             validation_bytes=100, duplicates=1, sources=["corpus:tang", "诗 <b>.txt"]),
        made("tokenizer", kind="bpe", vocab_size=512, seconds=0.1, bytes_per_token=2.0),
        made("forecast", parameters={"embedding": 60, "attention": 40, "total": 100},
             memory={"weights": 1e6, "process": 4e8, "total": 4.01e8, "available": None},
             tokens=6400, epochs=2.0, flops=1e9, flops_per_token=1e5, step_seconds=0.04,
             seconds=5.0, disk=10**7, micro_batch_size=4, peak_flops=1e11, notes=["few tokens"]),
        made("model", family="qwen3", n_layer=2, n_embd=32, n_head=2, n_kv_head=1,
             context_length=64, vocab_size=512, parameters=100, dtype="float32", device="cpu",
             threads=1),
        made("start", steps=100, batch_size=1, tokens_per_step=64, train_tokens=3200,
             validation_tokens=50, epochs=2.0, bytes_per_token=2.0, flops_per_token=1e5,
             peak_flops=1e11, overlap=0.25, expected={"low": 1.5, "high": 1.6},
             baselines={"uniform": 4.5, "unigram": 3.0, "bigram": 2.0, "trigram": 1.9}),
        *(step(n) for n in range(1, 51)),
        evaluated(50, 2.25),
        made("health", step=50, gradients=layers, weights=layers, dead={"layers.0": 0.5}),
        made("sample", step=50, prompt="床前", text="<script>alert(1)</script>"),
        made("nonfinite", step=51, where="loss", tensor="layers.1.up", layer=1,
             rows=[2], text="坏", action="skip"),
        step(52, "nan"),
        *(step(n) for n in range(53, 101)),
        evaluated(100, 2.5),
        made("health", step=100, gradients=layers, weights=layers, dead={"layers.0": 0.25}),
        made("diagnosis", step=100, cause="overfitting", title="overfitting",
             evidence="it rose <now>", remedy="add text", severity="warning"),
        made("sample", step=100, prompt="床前", text="明月光"),
        made("transfer", note="", rows=[{"text": "新", "before": 3.0, "after": 1.5}]),
        made("done", step=100, loss=2.5, perplexity=12.2, bits_per_byte=1.803, best_step=50,
             best_loss=2.25, train_seconds=5.0, save_seconds=0.2, total_seconds=6.0,
             interrupted=False, path="runs/tang"),
    ]  # fmt: skip


@pytest.fixture
def events() -> list[Event]:
    return story()


@pytest.fixture
def config() -> dict[str, object]:
    return CONFIG


@pytest.fixture
def make_run(tmp_path: Path):
    """Writes a run's folder: name, events, settings -> its path."""

    def make(name: str = "tang", events=None, config=None) -> Path:
        run = tmp_path / name
        run.mkdir(parents=True)
        (run / "config.json").write_text(json.dumps(config or CONFIG), encoding="utf-8")
        with JsonLines(run / "events.jsonl") as log:
            for event in story() if events is None else events:
                log(event)
        return run

    return make
