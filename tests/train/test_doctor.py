"""Each cause is provoked in a real run and named rightly; healthy runs are left in peace.

The runs are tiny: a text of 60 made-up words, a model of two layers, a hundred steps.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from penjing.core.errors import TrainingError
from penjing.core.events import Event
from penjing.data.batches import Batch, Tokens, windows
from penjing.evaluate.baselines import baselines
from penjing.evaluate.loss import evaluate_loss
from penjing.evaluate.overlap import overlap
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.train.config import (
    DataConfig,
    OptimizerConfig,
    PretrainConfig,
    ScheduleConfig,
    TrainConfig,
)
from penjing.train.curriculum import Curriculum
from penjing.train.doctor.doctor import Diagnosis, Doctor, examine
from penjing.train.health import look
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.prepare import prepare
from penjing.train.progress import Hooks, Scale
from penjing.train.run import Journal

LETTERS = "etaoinshrdlu "
LENGTH = 32


def prose(n: int) -> Tensor:
    """Ids of made-up words, each of which has a few that like to follow it."""
    draw = random.Random(0)
    often = [1 / i for i in range(1, 61)]
    words = ["".join(draw.choices(LETTERS[:12], often[:12], k=1 + i % 6)) for i in range(60)]
    followers = [draw.choices(words, often, k=6) for _ in words]
    text, word = "", words[0]
    while len(text) < n:
        word = draw.choice(followers[words.index(word)])
        text += word + " "
    return torch.tensor([LETTERS.index(c) for c in text[:n]])


TEXT = prose(44_000)
TRAINING, VALIDATION = TEXT[:40_000], TEXT[40_000:]


def settings(**changes: Any) -> TrainConfig:
    """A hundred small steps; `changes` may be of the optimizer or the schedule too."""
    parts: dict[str, dict[str, Any]] = {"optimizer": {}, "schedule": {}, "train": {}}
    for name, value in changes.items():
        kinds = {"optimizer": OptimizerConfig, "schedule": ScheduleConfig}
        part = next((k for k, c in kinds.items() if name in c.__dataclass_fields__), "train")
        parts[part][name] = value
    options = {"steps": 100, "batch_size": 8, "log_every": 2, "eval_every": 25}
    return TrainConfig(
        **options | parts["train"],
        optimizer=OptimizerConfig(**parts["optimizer"]),
        schedule=ScheduleConfig(**parts["schedule"]),
    )


class Watched:
    """A real run of the loop, and all that it told."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        training: Tensor = TRAINING,
        validation: Tensor = VALIDATION,
        spoil: Callable[[LanguageModel], object] | None = None,
        objective: type[NextToken] = NextToken,
        expected: dict[str, float] | None = None,
        **shape: Any,
    ) -> None:
        options: dict[str, Any] = {"n_layer": 2, "n_embd": 32, "n_head": 1}
        size = ModelConfig(vocab_size=len(LETTERS), context_length=LENGTH, **options | shape)
        self.model = build_model(size, seed=0, init=config.init)
        if spoil is not None:
            with torch.no_grad():
                spoil(self.model)
        tokens, kept = Tokens(training, len(training), 1), Tokens(validation, len(validation), 1)
        generator = torch.Generator().manual_seed(1)
        probe = next(windows(kept, LENGTH, 32))
        self.config = config
        self.events: list[Event] = []
        self.live: list[Diagnosis] = []
        self._doctor = Doctor(config)
        self._tell("model", parameters=self.model.n_parameters(), vocab_size=len(LETTERS))
        self._tell(
            "start",
            steps=config.steps,
            train_tokens=len(training),
            epochs=config.steps * config.batch_size * LENGTH / len(training),
            bytes_per_token=1.0,
            baselines=baselines(tokens, kept, len(LETTERS)).bits_per_byte(),
            overlap=overlap(tokens, kept),
            expected=expected,
        )
        hooks = Hooks(
            tell=self._listen,
            evaluate=lambda: evaluate_loss(self.model, kept, context_length=LENGTH, batch_size=64),
            health=lambda norms: look(self.model, norms, probe),
            scale=Scale(bytes_per_token=1.0),
        )
        self.stopped = False
        try:
            curriculum = Curriculum(tokens, config, LENGTH, generator)
            train(self.model, objective(curriculum), config, hooks)
        except TrainingError:
            self.stopped = True

    def _tell(self, kind: str, **data: Any) -> None:
        self._listen(Event(kind, data))

    def _listen(self, event: Event) -> None:
        self.events.append(event)
        self.live += self._doctor.observe(event)

    @property
    def causes(self) -> list[str]:
        """What was named while it ran, which is what is named afterwards."""
        assert examine(self.events, self.config) == self.live
        return [diagnosis.cause for diagnosis in self.live]

    def diagnosis(self, cause: str) -> Diagnosis:
        assert self.causes.count(cause) == 1
        return next(diagnosis for diagnosis in self.live if diagnosis.cause == cause)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, {}),
        ({"name": "adamw", "lr": 0.003}, {}),
        ({"init": "zero", "warmup_steps": 0}, {}),
        ({"name": "adamw", "lr": 0.001}, {"family": "gpt2"}),
        ({}, {"family": "lstm"}),
        ({"short_contexts": (8, 16), "steps": 60}, {"dropout": 0.1}),
        ({"steps": 30, "log_every": 10}, {"n_layer": 6}),
        ({"name": "adamw", "lr": 0.001, "batch_size": 4, "log_every": 1}, {"family": "gpt2"}),
        ({"name": "adamw", "lr": 0.001, "batch_size": 2, "log_every": 1}, {"family": "gpt2"}),
        ({"lr": 0.02, "muon_lr": 0.1}, {}),  # five times the usual rates still learn well
    ],
)
def test_healthy_runs_are_left_in_peace(changes: dict[str, Any], shape: dict[str, Any]) -> None:
    assert Watched(settings(**changes), **shape).live == []


def test_rate_too_high() -> None:
    run = Watched(settings(lr=0.8, muon_lr=4.0))
    assert run.causes[0] == "rate_too_high" and "rate_too_low" not in run.causes
    found = run.diagnosis("rate_too_high")
    assert "bits per byte of a model that knows nothing" in found.evidence
    assert "train.optimizer.lr 0.27, train.optimizer.muon_lr 1.3" in found.remedy


def test_divergence_after_a_good_beginning() -> None:
    """The warm-up passes through good rates and goes on to absurd ones."""
    run = Watched(settings(name="adamw", lr=3.0, warmup_steps=90, decay_fraction=0.0))
    found = run.diagnosis("divergence")
    assert found.severity == "error" and found.step > 20
    assert "train.optimizer.lr 1" in found.remedy and "muon" not in found.remedy


@pytest.mark.parametrize("changes", [{"lr": 4e-5, "muon_lr": 2e-4}, {"name": "adamw", "lr": 3e-5}])
def test_rate_too_low(changes: dict[str, Any]) -> None:
    run = Watched(settings(**changes))
    assert run.causes == ["rate_too_low"]
    assert f"train.optimizer.lr {3 * changes['lr']:.2g}" in run.live[0].remedy


def test_plateau_of_a_text_without_order() -> None:
    draw = torch.Generator().manual_seed(0)
    shuffled = [text[torch.randperm(len(text), generator=draw)] for text in (TRAINING, VALIDATION)]
    config = settings(batch_size=32, steps=80)
    run = Watched(config, training=shuffled[0], validation=shuffled[1], n_layer=1)
    assert run.causes == ["plateau"]
    assert "this text shows no order" in run.live[0].evidence


def test_plateau_of_a_model_that_sees_no_order() -> None:
    """Blind attention and a state of one token: the text has order, the model cannot use it."""

    class Blind(NextToken):
        def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
            hidden = torch.zeros_like(batch.inputs)
            return super().loss(model, Batch(hidden, batch.targets))

    run = Watched(settings(batch_size=32, steps=80), objective=Blind, n_layer=1)
    assert "there is order to learn" in run.diagnosis("plateau").evidence


def test_overfitting_and_its_forerunners() -> None:
    run = Watched(settings(steps=150, lr=0.01), training=TRAINING[:800])
    assert run.causes == ["repeated_data", "too_little_data", "overfitting"]
    found = run.live[2]
    best = min((e for e in run.events if e.kind == "eval"), key=lambda e: e.data["loss"])
    assert f"best at step {best.data['step']} " in found.evidence
    assert "passes over its 800 tokens 48 times" in run.live[0].evidence


def test_a_loss_above_the_expected_band() -> None:
    """A fifth of a good rate, held against what the good rate reaches."""
    good = Watched(settings())
    bits = [e.data["bits_per_byte"] for e in good.events if e.kind == "eval"][-1]
    band = {"low": 0.95 * bits, "high": 1.05 * bits}
    poor = Watched(settings(lr=0.0008, muon_lr=0.004), expected=band)
    assert poor.causes == ["above_band"]
    assert poor.live[0].step == 100 and f"{band['high']:.3f}" in poor.live[0].evidence
    assert Watched(settings(), expected=band).live == []


def enlarge(name: str, factor: float) -> Callable[[LanguageModel], Tensor]:
    return lambda model: model.get_parameter(name).mul_(factor)


def test_exploding_gradients() -> None:
    """With outputs that begin at zero, a layer of huge activations hands on huge gradients."""
    run = Watched(
        settings(steps=4, health_every=1, init="zero", eval_every=0),
        spoil=enlarge("layers.1.feed_forward.gate_up.weight", 30),
    )
    assert run.causes == ["exploding_gradients"]
    assert run.live[0].evidence.startswith("Gradient norms at step 1: layers.1 (")


def test_vanishing_gradients() -> None:
    """One layer drowns the residual stream; what the later ones add is nothing beside it."""
    run = Watched(
        settings(steps=4, health_every=2, eval_every=0),
        spoil=enlarge("layers.0.feed_forward.down.weight", 1e4),
        n_layer=3,
    )
    assert run.causes == ["vanishing_gradients"]
    assert "layers.1 (" in run.live[0].evidence and "layers.2 (" in run.live[0].evidence
    assert "that of layers.0 is" in run.live[0].evidence


def test_dead_neurons() -> None:
    run = Watched(
        settings(steps=20, name="adamw", lr=0.001, eval_every=10),
        spoil=lambda model: model.get_parameter("layers.1.feed_forward.up.bias").fill_(-10),
        family="gpt2",
    )
    assert run.causes == ["dead_neurons"]
    assert "feed-forward neurons: 100% in layers.1." in run.live[0].evidence


def test_a_weight_that_is_no_number() -> None:
    name = "layers.1.feed_forward.down.weight"
    run = Watched(settings(), spoil=lambda model: model.get_parameter(name)[0].fill_(torch.nan))
    assert run.stopped and run.causes == ["nonfinite"]
    assert run.live[0].severity == "error"
    assert f"At step 1 the weight {name} (layer 1) was not finite" in run.live[0].evidence


class Poisoned(NextToken):
    """The fifth batch has a row of zeros, and such rows cost infinitely much."""

    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        if step == 4:
            batch.inputs[3] = 0
        return batch

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        loss = super().loss(model, batch)
        return loss * torch.inf if (batch.inputs == 0).all(1).any() else loss


def test_a_batch_that_is_skipped() -> None:
    run = Watched(settings(steps=10, on_nonfinite="skip"), objective=Poisoned)
    assert not run.stopped and run.causes == ["nonfinite"]
    assert run.live[0].severity == "warning"
    assert "At step 5 the loss was not finite, in row 4 of the batch" in run.live[0].evidence


def test_a_leak() -> None:
    run = Watched(settings(steps=20), validation=TRAINING[5000:8000])
    assert run.causes == ["leak"] and run.live[0].evidence.startswith("100% of the validation text")


def test_duplicate_documents(tmp_path: Path) -> None:
    for i in range(10):
        (tmp_path / f"{i}.txt").write_text(f"Document {i % 6} has something to say. " * 20)
    events: list[Event] = []
    config = PretrainConfig(data=DataConfig(sources=(str(tmp_path),), validation_fraction=0.2))
    config = replace(config, tokenizer=replace(config.tokenizer, kind="char"))
    prepare(config, Journal([events.append]))
    (found,) = examine(events)
    assert found.cause == "duplicate_data"
    assert "4 of 10 documents (40%) repeat an earlier one" in found.evidence


class TooLarge(NextToken):
    """The fifth batch's loss is finite, and the square of its gradient's norm is not."""

    def batch(self, step: int) -> Batch:
        self.now = step
        return super().batch(step)

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        whole = len(batch.inputs) > 1
        return super().loss(model, batch) * (1e30 if self.now == 4 and whole else 1.0)


def test_what_no_row_does_by_itself() -> None:
    run = Watched(settings(steps=10, on_nonfinite="skip"), objective=TooLarge)
    assert run.causes == ["nonfinite"]
    told = next(e.data for e in run.events if e.kind == "nonfinite")
    assert told["where"] == "together" and 1e30 < told["loss"] < 1e31
    found = run.live[0].evidence
    assert found.startswith("At step 5 not all was finite: loss ")
    assert found.endswith(", gradient norm inf: no row does so by itself.")
