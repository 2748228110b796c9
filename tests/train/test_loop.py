"""The loop: gradients accumulate to the same step, hooks are called when due, NaN is refused."""

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.broken import BadGradient
from torch import Tensor

from penjing.core.errors import TrainingError
from penjing.core.events import Event
from penjing.data.batches import Batch, Tokens
from penjing.evaluate.loss import LossReport
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.gradients import Gradients
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.parallel.replica import Alone
from penjing.train.progress import Hooks, Snapshot

IDS = torch.randint(20, (2000,), generator=torch.Generator().manual_seed(0))


def objective(seed: int = 0) -> NextToken:
    return NextToken(curriculum(seed))


def curriculum(seed: int = 0, **settings: Any) -> Curriculum:
    config = TrainConfig(batch_size=6, **settings)
    generator = torch.Generator().manual_seed(seed)
    return Curriculum(Tokens(IDS, 2000, 1), config, 16, generator)


def model() -> LanguageModel:
    return build_model(ModelConfig(vocab_size=20, n_layer=1, n_embd=32, context_length=16), seed=2)


class Recorder:
    """Hooks that count."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.saved: list[int] = []
        self.reports: list[LossReport | None] = []
        self.hooks = Hooks(
            evaluate=lambda: LossReport.of(10.0, 10, 10),
            sample=lambda: "text",
            save=self.save,
            tell=self.events.append,
        )

    def save(self, snapshot: Snapshot) -> Path:
        self.saved.append(snapshot.step)
        self.reports.append(snapshot.report)
        return Path("there")

    def steps(self, kind: str) -> list[int]:
        return [e.data["step"] for e in self.events if e.kind == kind]


def gradients(batch: Batch, **settings: Any) -> tuple[float, float, list[Tensor]]:
    m, config = model(), TrainConfig(**settings)
    gradients = Gradients(Alone(m))
    loss = gradients.fill(objective(), batch, config.micro_batch_size)
    norm = gradients.norm()
    gradients.clip(norm, config.optimizer.grad_clip)
    return loss, norm, [p.grad for p in m.parameters() if p.grad is not None]


@pytest.mark.parametrize("micro", [1, 2, 4, 6, 100])
def test_micro_batches_make_the_same_gradients(micro: int) -> None:
    batch = objective().batch(0)
    batch.targets[2, 5:] = -100  # parts with unequal shares
    batch.targets[4] = -100  # and one with none
    loss, norm, whole = gradients(batch)
    part_loss, part_norm, parts = gradients(batch, micro_batch_size=micro)
    assert (part_loss, part_norm) == pytest.approx((loss, norm), rel=1e-4)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_the_loss_is_the_formula_of_every_position_at_once() -> None:
    m, batch = model(), objective().batch(0)
    logits = m(batch.inputs).double()
    expected = 0.0
    for b in range(6):
        for t in range(16):
            row = logits[b, t]
            expected -= (row[batch.targets[b, t]] - row.exp().sum().log()).item() / (6 * 16)
    assert objective().loss(m, batch).item() == pytest.approx(expected, rel=1e-5)


def test_clipping_limits_the_gradients() -> None:
    batch = objective().batch(0)
    _, norm, free = gradients(batch, optimizer=OptimizerConfig(grad_clip=0.0))
    _, same, clipped = gradients(batch, optimizer=OptimizerConfig(grad_clip=1e-3))
    assert norm == pytest.approx(same) == pytest.approx(size(free), rel=1e-4)
    assert size(clipped) == pytest.approx(1e-3, rel=1e-2)


def size(tensors: list[Tensor]) -> float:
    return float(torch.stack([t.norm() for t in tensors]).norm())


def test_everything_happens_when_it_is_due() -> None:
    recorder = Recorder()
    config = TrainConfig(
        steps=10, batch_size=6, log_every=4, eval_every=3, sample_every=5, save_every=0
    )
    outcome = train(model(), objective(), config, recorder.hooks)
    assert outcome.steps == 10 and not outcome.interrupted and outcome.report is not None
    assert recorder.steps("step") == [1, 4, 8, 10]
    assert recorder.steps("eval") == [3, 6, 9, 10]
    assert recorder.steps("sample") == [5, 10]
    assert recorder.steps("save") == recorder.saved == [3, 10]  # the first evaluation is the best
    last = [e for e in recorder.events if e.kind == "step"][-1].data
    assert last["eta"] == 0 and last["tokens_per_second"] > 0


def test_the_same_seed_gives_the_same_run() -> None:
    losses = []
    for _ in range(2):
        recorder = Recorder()
        config = TrainConfig(steps=5, batch_size=6, log_every=1)
        train(model(), objective(3), config, recorder.hooks)
        losses.append([e.data["loss"] for e in recorder.events if e.kind == "step"])
    assert losses[0] == losses[1]


class Broken(NextToken):
    """From the third batch on, the loss (or its gradient alone) is no number."""

    count = 0
    how = "loss"

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        self.count += 1
        loss = super().loss(model, batch)
        if self.count < 3:
            return loss
        if self.how == "loss":
            return loss * math.nan
        bad: Tensor = BadGradient.apply(loss)  # type: ignore[no-untyped-call]
        return bad


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("steps", [3, 10])
def test_what_is_no_number_is_refused_before_it_spoils_the_weights(how: str, steps: int) -> None:
    recorder, m, broken = Recorder(), model(), Broken(curriculum())
    broken.how = how
    with pytest.raises(TrainingError, match=r"diverged at step 3: the loss is .* nan"):
        train(m, broken, TrainConfig(steps=steps, batch_size=6), recorder.hooks)
    assert recorder.saved == []
    assert all(p.isfinite().all() for p in m.parameters())


class Interrupted(NextToken):
    """A signal, by default Ctrl-C's, in one step."""

    count = 0
    at = 4
    number = signal.SIGINT

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        self.count += 1
        if self.count == self.at:
            signal.raise_signal(self.number)
        return super().loss(model, batch)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_finishes_the_step_and_saves(number: signal.Signals) -> None:
    recorder, objective = Recorder(), Interrupted(curriculum())
    objective.number = number
    before = signal.getsignal(number)
    config = TrainConfig(steps=10, batch_size=6, eval_every=3)
    outcome = train(model(), objective, config, recorder.hooks)
    assert outcome.interrupted and outcome.steps == 4
    assert recorder.saved == [3, 4]
    assert signal.getsignal(number) is before
    # The evaluation of step 3 says nothing of the weights of step 4.
    assert recorder.steps("eval") == [3] and outcome.report is None
    assert recorder.reports == [LossReport.of(10.0, 10, 10), None]


def test_ctrl_c_in_the_last_step_loses_nothing() -> None:
    recorder, objective = Recorder(), Interrupted(curriculum())
    objective.at = 5
    outcome = train(model(), objective, TrainConfig(steps=5, batch_size=6), recorder.hooks)
    assert not outcome.interrupted and outcome.report is not None
    assert recorder.saved == [5] and recorder.steps("sample") == [5]


def test_ctrl_c_while_evaluating() -> None:
    recorder = Recorder()

    def evaluate() -> LossReport:
        signal.raise_signal(signal.SIGINT)
        return LossReport.of(10.0, 10, 10)

    config = TrainConfig(steps=10, batch_size=6, eval_every=3)
    outcome = train(model(), objective(), config, replace(recorder.hooks, evaluate=evaluate))
    assert outcome.interrupted and outcome.steps == 3
    assert recorder.saved == [3] and recorder.reports == [LossReport.of(10.0, 10, 10)]


def test_a_saved_model_carries_the_figures_of_its_own_weights() -> None:
    recorder = Recorder()
    config = TrainConfig(steps=9, batch_size=6, eval_every=2, save_every=3)
    train(model(), objective(), config, recorder.hooks)
    known = {step for step, report in zip(recorder.saved, recorder.reports, strict=True) if report}
    assert recorder.saved == [2, 3, 6, 9] and known == {2, 6, 9}


def test_a_second_signal_stops_even_the_last_save() -> None:
    def save(_snapshot: Snapshot) -> Path:
        signal.raise_signal(signal.SIGTERM)
        return Path("never")

    hooks = replace(Recorder().hooks, save=save)
    with pytest.raises(KeyboardInterrupt):
        train(model(), Interrupted(curriculum()), TrainConfig(steps=9, batch_size=6), hooks)
