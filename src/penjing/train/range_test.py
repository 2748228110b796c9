"""The learning-rate range test: one short run in which the rate grows from tiny to huge.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186). Where the
loss begins to fall, rates begin to matter; where it rises again, they are too high. A good rate
lies between: where the loss falls fastest (Howard and Gugger 2020).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch

from penjing.core.errors import TrainingError
from penjing.core.events import Listener
from penjing.model.base import LanguageModel
from penjing.model.runtime import default_threads, memory_errors
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.gradients import Gradients, finite
from penjing.train.objectives import NextToken, Objective
from penjing.train.optimizers import build_optimizer
from penjing.train.parallel.replica import Alone
from penjing.train.prepare import check, new_model, prepare
from penjing.train.run import Journal

STEPS = 100
LOW, HIGH = 1e-3, 1e2  # of the rates that are set: the ends of the sweep
REACH = 5  # steps to either side that a loss is averaged with, and that a fall is measured over
BLOWN_UP = 1.2  # times the first losses: nothing good comes after that


@dataclass(frozen=True)
class Point:
    """One step of the sweep."""

    factor: float  # of the rates that are set
    loss: float  # nats per token, of its batch
    smooth: float  # mean with the steps to either side


@dataclass(frozen=True)
class RangeTest:
    """The curve, and the rates that it suggests."""

    points: tuple[Point, ...]
    suggestion: float  # factor of the rates that are set
    reason: str
    lr: float  # suggested train.optimizer.lr
    muon_lr: float  # suggested train.optimizer.muon_lr

    def chart(self, width: int = 60) -> str:
        """The smoothed curve as text: one line for each quarter of a decade."""
        shown = _quarters(self.points)
        low, high = (pick(p.smooth for p in shown) for pick in (min, max))
        lines = []
        for point in shown:
            bar = "#" * round((point.smooth - low) / ((high - low) or 1.0) * width)
            near = abs(math.log10(point.factor / self.suggestion)) <= 1 / 8
            mark = " <- suggested" if near else ""
            lines.append(f"{point.factor:10.4g}  {point.smooth:7.3f}  {bar}{mark}")
        return "\n".join([f"{'rates x':>10}  {'loss':>7}", *lines])


def range_test(
    config: PretrainConfig, listeners: Sequence[Listener] = (), *, steps: int = STEPS
) -> RangeTest:
    """Sweep the rates of a run's settings on its own text, with a model that is thrown away.

    The rates of AdamW and of Muon move together. Nothing is written.

    Raises:
        DataError, TokenizerError, ConfigError: see `pretrain`.
        TrainingError: the loss is not finite even at the lowest rates.
    """
    check(config)
    prepared = prepare(config, Journal(listeners))
    train = replace(config.train, short_contexts=())
    threads = torch.get_num_threads()
    torch.set_num_threads(train.threads or default_threads())
    try:
        with torch.random.fork_rng(), memory_errors():
            torch.manual_seed(train.seed)
            model = new_model(config, prepared)
            generator = torch.Generator().manual_seed(train.seed + 1)
            length = model.config.context_length
            objective = NextToken(Curriculum(prepared.training, train, length, generator))
            return sweep(model, objective, train, steps=steps)
    finally:
        torch.set_num_threads(threads)


def sweep(
    model: LanguageModel, objective: Objective, config: TrainConfig, *, steps: int = STEPS
) -> RangeTest:
    """Train `model` with rates from LOW to HIGH times those of `config`, growing evenly in size.

    It ends early where the loss blows up. The model is of no use afterwards.

    Raises:
        TrainingError: the loss is not finite even at the lowest rates.
    """
    optimizer, gradients = build_optimizer(model, config.optimizer), Gradients(Alone(model))
    factors: list[float] = []
    losses: list[float] = []
    model.train()
    for step in range(steps):
        loss = gradients.fill(objective, objective.batch(step), config.micro_batch_size)
        norm = gradients.norm()
        if not finite(loss, norm):
            break
        factors.append(LOW * (HIGH / LOW) ** (step / max(1, steps - 1)))
        losses.append(loss)
        if fmean(losses[-REACH:]) > BLOWN_UP * fmean(losses[:REACH]):
            break
        gradients.clip(norm, config.optimizer.grad_clip)
        optimizer.step(factors[-1])
        gradients.clear()
    if len(losses) <= 2 * REACH:
        raise TrainingError(
            "The range test found no rate at which the loss is finite: see whether the text and "
            "the model's start are sound (train.init, train.precision)."
        )
    return _suggest(factors, losses, config)


def _suggest(factors: list[float], losses: list[float], config: TrainConfig) -> RangeTest:
    smooth = [fmean(losses[max(0, i - REACH) : i + REACH + 1]) for i in range(len(losses))]
    points = [Point(*values) for values in zip(factors, losses, smooth, strict=True)]
    least = min(range(len(points)), key=lambda i: smooth[i])
    inner = range(REACH, max(REACH + 1, min(least, len(points) - 1 - REACH) + 1))
    steepest = points[min(inner, key=lambda i: smooth[i + REACH] - smooth[i - REACH])]
    turn = points[least]
    after = "and rises after that" if least < len(points) - 1 else "where the sweep ends"
    reason = (
        f"The loss falls fastest at {steepest.factor:.3g} times the rates that are set; it is "
        f"least ({turn.smooth:.2f}, from {smooth[0]:.2f}) at {turn.factor:.3g} times, {after}."
    )
    return RangeTest(
        points=tuple(points),
        suggestion=steepest.factor,
        reason=reason,
        lr=config.optimizer.lr * steepest.factor,
        muon_lr=config.optimizer.muon_lr * steepest.factor,
    )


def _quarters(points: Sequence[Point]) -> list[Point]:
    """The last point of each quarter of a decade."""
    found = {math.floor(4 * math.log10(point.factor)): point for point in points}
    return list(found.values())
