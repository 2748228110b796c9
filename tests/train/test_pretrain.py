"""A whole run in seconds: from a text file to a model that others can load."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penjing.core.errors import (
    ConfigError,
    DataError,
    GenerationError,
    StorageError,
    TokenizerError,
    TrainingError,
)
from penjing.core.events import Event, read_events
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train import work
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.objectives import NextToken
from penjing.train.pretrain import pretrain
from penjing.train.run import Run

VERSE = "the moon looks in at the window,\nand the frost lies white on the ground.\n"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "verse.txt"
    lines = [f"{i} bottles: {VERSE}" for i in range(60)]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def settings(text: Path, **train: Any) -> PretrainConfig:
    options: dict[str, Any] = {"steps": 40, "batch_size": 8, "precision": "float32", "threads": 1}
    return PretrainConfig(
        data=DataConfig(sources=(str(text),), validation_fraction=0.1),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=2, n_embd=32, context_length=32),
        train=TrainConfig(**options | {"eval_every": 20, "sample_tokens": 20} | train),
    )


def test_a_run_from_text_to_model(text: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    run = pretrain(settings(text), out=tmp_path / "run", listeners=[events.append])
    kinds = [e.kind for e in events if e.kind != "step"]
    assert kinds == [
        "data",
        "tokenizer",
        "forecast",
        "model",
        "start",
        "eval",
        "health",
        "save",
        "eval",
        "health",
        "sample",
        "save",
        "done",
    ]
    evals = [e.data["loss"] for e in events if e.kind == "eval"]
    assert evals[1] < evals[0] < 3.6
    assert run.figures["loss"] == evals[1]
    assert sorted(p.name for p in run.path.iterdir()) == [
        "checkpoints",
        "config.json",
        "events.jsonl",
        "lock",
        "model",
        "report.html",
    ]
    logged = list(read_events(run.path / "events.jsonl"))
    assert [e.kind for e in logged] == [e.kind for e in events]
    assert json.loads((run.path / "config.json").read_text())["train"]["steps"] == 40
    (line,) = run.checkpoint.lineage
    assert line.operation == "pretrain" and line.figures["loss"] == evals[1] and line.data


def test_others_load_what_was_trained(text: Path, tmp_path: Path) -> None:
    """The validation loss, computed anew by transformers from the saved files alone."""
    run = pretrain(settings(text), out=tmp_path / "run")
    model = AutoModelForCausalLM.from_pretrained(run.checkpoint.path)
    tokenizer = AutoTokenizer.from_pretrained(run.checkpoint.path)
    whole = text.read_text()
    validation = whole[-len(whole) // 10 :]
    validation = validation[validation.index("\n") + 1 :]
    ids = torch.tensor(tokenizer(validation)["input_ids"])
    n = len(ids) // 32 * 32
    with torch.inference_mode():
        loss = model(ids[:n].view(-1, 32), labels=ids[:n].view(-1, 32)).loss.item()
    assert loss == pytest.approx(run.figures["loss"], abs=0.1)


def losses(run: Run) -> list[float]:
    return [e.data["loss"] for e in read_events(run.path / "events.jsonl") if e.kind == "step"]


def test_a_seed_repeats_a_run(text: Path, tmp_path: Path) -> None:
    config = settings(text, steps=12, log_every=1, eval_every=0)
    runs = [pretrain(config, out=tmp_path / name) for name in "ab"]
    assert losses(runs[0]) == losses(runs[1])
    other = replace(config, train=replace(config.train, seed=1))
    assert losses(pretrain(other, out=tmp_path / "c"))[0] != losses(runs[0])[0]  # other weights
    zero = replace(config, train=replace(config.train, init="zero"))
    assert losses(pretrain(zero, out=tmp_path / "d"))[0] != losses(runs[0])[0]


def test_dropout_repeats_too_and_leaves_torchs_generator_alone(text: Path, tmp_path: Path) -> None:
    config = settings(text, steps=6, log_every=1, eval_every=0)
    config = replace(config, model=replace(config.model, dropout=0.2))
    state = torch.get_rng_state()
    runs = [pretrain(config, out=tmp_path / name) for name in "ab"]
    assert losses(runs[0]) == losses(runs[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision(text: Path, tmp_path: Path) -> None:
    full = pretrain(settings(text), out=tmp_path / "full")
    half = pretrain(settings(text, precision="bfloat16"), out=tmp_path / "half")
    assert json.loads((half.checkpoint.path / "config.json").read_text())["dtype"] == "bfloat16"
    assert half.figures["loss"] == pytest.approx(full.figures["loss"], abs=0.1)


def refused(config: PretrainConfig, out: Path, error: type[Exception], message: str) -> None:
    """The run does not start, and leaves nothing."""
    with pytest.raises(error, match=message):
        pretrain(config, out=out)
    assert not out.exists()


def test_bad_input_leaves_nothing(text: Path, tmp_path: Path) -> None:
    good, out = settings(text), tmp_path / "run"

    def with_text(content: bytes) -> PretrainConfig:
        file = tmp_path / "bad.txt"
        file.write_bytes(content)
        return replace(good, data=DataConfig(sources=(str(file),)))

    refused(with_text(b""), out, DataError, "empty|too little|no text")
    refused(with_text(b"one line"), out, DataError, "too little")
    refused(with_text(b"\x89PNG\r\n\x1a\n\x00\x00\xff" * 20), out, DataError, "bad.txt")
    large = replace(good, tokenizer=TokenizerConfig(vocab_size=100_000))
    refused(large, out, TokenizerError, "100000|100,000")
    long = replace(good, model=replace(good.model, context_length=100_000))
    refused(long, out, DataError, "context")
    odd = replace(good, model=replace(good.model, n_head=3, n_kv_head=2))
    refused(odd, out, ConfigError, "n_kv_head")
    no_steps = replace(good, train=replace(good.train, steps=0))
    refused(no_steps, out, ConfigError, "train.steps")
    no_split = replace(good, data=replace(good.data, validation_fraction=0.0))
    refused(no_split, out, ConfigError, "validation_fraction")
    small = replace(good, model=replace(good.model, vocab_size=5))
    refused(small, out, ConfigError, "model.vocab_size is 5")
    prompt = replace(good, train=replace(good.train, sample_prompt="a" * 99))
    refused(prompt, out, GenerationError, "99 tokens")
    tokens = replace(good, tokenizer=TokenizerConfig(kind="byte", special_tokens=()))
    refused(tokens, out, GenerationError, "empty")
    nowhere = replace(good, data=DataConfig(sources=("nowhere.txt",)))
    refused(nowhere, out, DataError, "nowhere.txt")
    seed = replace(good, train=replace(good.train, seed=2**64))
    refused(seed, out, ConfigError, "train.seed")
    device = replace(good, train=replace(good.train, device="gpu9"))
    refused(device, out, ConfigError, "gpu9")


def test_a_file_name_that_is_no_text(text: Path, tmp_path: Path) -> None:
    odd = text.rename(text.with_name(b"\xff.txt".decode("utf-8", "surrogateescape")))
    run = pretrain(settings(odd, steps=2), out=tmp_path / "run")
    (line,) = run.checkpoint.lineage
    assert line.settings["data"]["sources"] == [str(odd)]
    first = next(e for e in read_events(run.path / "events.jsonl") if e.kind == "data")
    assert first.data["sources"] == [str(odd)]


def test_too_little_memory(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(NextToken, "loss", full)
    refused(settings(text), tmp_path / "run", TrainingError, "not enough memory")


def test_a_run_that_fails_keeps_the_model_it_saved(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaks(NextToken):
        calls = 0

        def loss(self, *args: Any) -> torch.Tensor:
            self.calls += 1
            return super().loss(*args) * (math.nan if self.calls > 7 else 1)

    monkeypatch.setattr(work, "NextToken", Breaks)
    with pytest.raises(TrainingError, match="diverged at step 8"):
        pretrain(settings(text, save_every=5), out=tmp_path / "run")
    (line,) = Checkpoint.open(tmp_path / "run").lineage
    assert line.figures == {"step": 5}


def test_an_existing_run_is_kept(text: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        pretrain(settings(text), out=tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []
