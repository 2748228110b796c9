"""Small runs that break off, and what they must be equal to once they have gone on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from penjing.core.events import Event, read_events, settled
from penjing.model.checkpoint import saved_steps
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.pretrain import pretrain

VERSE = "the moon looks in at the window,\nand the frost lies white on the ground.\n"


def settings(text: Path, **train: Any) -> PretrainConfig:
    options: dict[str, Any] = {"steps": 12, "batch_size": 4, "precision": "float32", "threads": 1}
    options |= {"log_every": 1, "eval_every": 5, "save_every": 2, "sample_tokens": 5}
    return PretrainConfig(
        data=DataConfig(sources=(str(text),), validation_fraction=0.1),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=1, n_embd=32, context_length=32, dropout=0.1),
        train=TrainConfig(**options | train),
    )


def losses(run: Path) -> list[float]:
    """Of all steps, as the log has them once what a resume made void is left out."""
    events = settled(read_events(run / "events.jsonl"))
    return [e.data["loss"] for e in events if e.kind in ("step", "eval")]


def assert_same(run: Path, whole: Path) -> None:
    """The same losses, weights, optimizer and generators, to the last bit."""
    assert losses(run) == losses(whole)
    (newest, theirs) = (saved_steps(path) for path in (run, whole))
    assert newest.keys() == theirs.keys()
    for step, path in newest.items():
        for name in ("model.safetensors", "training/state.safetensors"):
            mine, other = load_file(path / name), load_file(theirs[step] / name)
            assert mine.keys() == other.keys()
            assert all(torch.equal(tensor, other[key]) for key, tensor in mine.items())
    names = ("model.safetensors", "config.json", "tokenizer.json")
    for name in names:
        assert (run / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


class Stopped(BaseException):
    """A power cut, as far as Python code can tell."""


def stopped_run(text: Path, out: Path, **train: Any) -> Path:
    """A run that breaks off after step 7; its last checkpoint is that of step 6."""

    def stop(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == 7:
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(settings(text, **train), out=out, listeners=[stop])
    return out
