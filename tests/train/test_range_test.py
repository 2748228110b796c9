"""The range test finds a rate that trains well, whatever rate it begins from."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from penjing.core.errors import TrainingError
from penjing.core.events import Event
from penjing.data.batches import Batch, Tokens
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, OptimizerConfig, PretrainConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.progress import Hooks
from penjing.train.range_test import HIGH, LOW, RangeTest, range_test, sweep

# Each letter is followed by one of two.
STEPS = torch.randint(1, 3, (20_000,), generator=torch.Generator().manual_seed(0))
IDS = STEPS.cumsum(0) % 16


def model() -> LanguageModel:
    return build_model(ModelConfig(vocab_size=16, n_layer=1, n_embd=32, context_length=16), seed=0)


def objective(config: TrainConfig, kind: type[NextToken] = NextToken) -> NextToken:
    generator = torch.Generator().manual_seed(1)
    return kind(Curriculum(Tokens(IDS, len(IDS), 1), config, 16, generator))


def settings(lr: float, **train: Any) -> TrainConfig:
    optimizer = OptimizerConfig(name="adamw", lr=lr)
    return TrainConfig(**{"batch_size": 8} | train, optimizer=optimizer)


def swept(lr: float, kind: type[NextToken] = NextToken) -> RangeTest:
    config = settings(lr)
    return sweep(model(), objective(config, kind), config)


def trained(lr: float) -> float:
    """The loss at the end of 60 steps at a level rate."""
    config, events = settings(lr, steps=60, log_every=1), list[Event]()
    train(model(), objective(config), config, Hooks(tell=events.append))
    losses = [event.data["loss"] for event in events if event.kind == "step"]
    return sum(losses[-10:]) / 10


def test_the_suggested_rate_trains_well() -> None:
    found = swept(0.003)
    best = trained(found.lr)
    assert best < trained(found.lr / 30) and best < trained(found.lr * 300)
    assert best < math.log(16) - 1  # ln 2 is the least there is


def test_it_does_not_depend_on_the_rates_that_are_set() -> None:
    one, other = swept(0.003), swept(0.01)
    assert 1 / 1.6 < one.lr / other.lr < 1.6
    assert one.muon_lr == pytest.approx(0.02 * one.suggestion)


def test_the_factors_grow_evenly_from_end_to_end() -> None:
    points = swept(0.003).points
    assert points[0].factor == pytest.approx(LOW) and points[-1].factor <= HIGH * 1.001
    ratios = [b.factor / a.factor for a, b in pairwise(points)]
    assert max(ratios) == pytest.approx(min(ratios))


def test_it_ends_where_the_loss_blows_up() -> None:
    found = swept(3.0)
    assert found.points[-1].factor < HIGH / 2
    assert found.suggestion < 0.1
    assert "and rises after that" in found.reason


class Broken(NextToken):
    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        return super().loss(model, batch) * math.nan


def test_a_loss_that_is_no_number_from_the_start() -> None:
    with pytest.raises(TrainingError, match="no rate at which the loss is finite"):
        swept(0.003, Broken)


def test_a_whole_run_s_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i} bottles of beer on the wall,\n" for i in range(300)))
    config = PretrainConfig(
        data=DataConfig(sources=(str(text),)),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=1, n_embd=32, context_length=16),
        train=TrainConfig(batch_size=8, threads=1, precision="float32"),
    )
    kinds: list[str] = []
    state = torch.get_rng_state()
    found = range_test(config, [lambda event: kinds.append(event.kind)], steps=40)
    again = range_test(config, steps=40)
    assert found == again
    assert kinds == ["data", "tokenizer"]
    assert torch.equal(torch.get_rng_state(), state)
    assert list(tmp_path.iterdir()) == [text]
    lines = found.chart(width=20).splitlines()
    assert len(lines) <= 22 and sum("<- suggested" in line for line in lines) >= 1
    assert max(map(len, lines)) <= 60
