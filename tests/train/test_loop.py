"""The loop: gradients accumulate to the same step, hooks are called when due, NaN is refused."""

import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
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
from penjing.train.loop import Hooks, one_step, train
from penjing.train.objectives import NextToken
from penjing.train.optimizers import build_optimizer

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
        self.hooks = Hooks(
            evaluate=lambda: LossReport.of(10.0, 10, 10),
            sample=lambda: "text",
            save=self.save,
            tell=self.events.append,
        )

    def save(self, step: int) -> Path:
        self.saved.append(step)
        return Path("there")

    def steps(self, kind: str) -> list[int]:
        return [e.data["step"] for e in self.events if e.kind == kind]


@pytest.mark.parametrize("micro", [1, 2, 4, 6, 100])
def test_micro_batches_make_the_same_step(micro: int) -> None:
    batch = objective().batch(0)
    batch.targets[2, 5:] = -100  # parts with unequal shares
    results = []
    for size in (0, micro):
        m = model()
        config = TrainConfig(micro_batch_size=size, optimizer=OptimizerConfig(name="adamw"))
        optimizer = build_optimizer(m, config.optimizer)
        results.append((one_step(m, objective(), optimizer, batch, 1.0, config), m))
    (whole, one), (parts, other) = results
    assert parts == pytest.approx(whole, rel=1e-4)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-4)


def test_the_loss_is_the_formula_of_every_position_at_once() -> None:
    m, batch = model(), objective().batch(0)
    logits = m(batch.inputs).double()
    expected = 0.0
    for b in range(6):
        for t in range(16):
            row = logits[b, t]
            expected -= (row[batch.targets[b, t]] - row.exp().sum().log()).item() / (6 * 16)
    assert objective().loss(m, batch).item() == pytest.approx(expected, rel=1e-5)


def test_clipping_limits_the_step() -> None:
    sizes = []
    for clip in (0.0, 1e-3):
        m = model()
        config = TrainConfig(optimizer=OptimizerConfig(name="adamw", grad_clip=clip))
        seen: list[float] = []

        class Watch:
            def step(self, rate: float, m: LanguageModel = m, seen: list[float] = seen) -> None:
                grads = [p.grad.norm() for p in m.parameters() if p.grad is not None]
                seen.append(float(torch.stack(grads).norm()))

        _, norm = one_step(m, objective(), Watch(), objective().batch(0), 1.0, config)
        sizes.append((norm, seen[0]))
    (norm, free), (same_norm, clipped) = sizes
    assert norm == pytest.approx(free, rel=1e-4) == pytest.approx(same_norm, rel=1e-4)
    assert clipped == pytest.approx(1e-3, rel=1e-2)


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
    assert recorder.steps("save") == recorder.saved == [10]
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
    """Diverges at the third batch."""

    count = 0

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        self.count += 1
        return super().loss(model, batch) * (math.nan if self.count == 3 else 1)


def test_nan_is_refused_and_not_saved() -> None:
    recorder = Recorder()
    config = TrainConfig(steps=10, batch_size=6)
    with pytest.raises(TrainingError, match="loss is nan at step 3"):
        train(model(), Broken(curriculum()), config, recorder.hooks)
    assert recorder.saved == []


class Interrupted(NextToken):
    """Ctrl-C in the fourth step."""

    count = 0

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        self.count += 1
        if self.count == 4:
            signal.raise_signal(signal.SIGINT)
        return super().loss(model, batch)


def test_ctrl_c_finishes_the_step_and_saves() -> None:
    recorder = Recorder()
    before = signal.getsignal(signal.SIGINT)
    config = TrainConfig(steps=10, batch_size=6)
    outcome = train(model(), Interrupted(curriculum()), config, recorder.hooks)
    assert outcome.interrupted and outcome.steps == 4
    assert recorder.saved == [4]
    assert signal.getsignal(signal.SIGINT) is before
