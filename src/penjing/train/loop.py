"""The one training loop: batch, loss, gradients, step; with evaluation, samples and checkpoints.

It knows nothing of text or of methods: an `Objective` brings batches and a loss, and `Hooks` do
what lies beside the steps.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from penjing.core.errors import TrainingError
from penjing.core.events import Event, Listener
from penjing.data.batches import Batch
from penjing.evaluate.loss import LossReport
from penjing.model.base import LanguageModel
from penjing.train.config import TrainConfig
from penjing.train.objectives import Objective
from penjing.train.optimizers import Optimizer, build_optimizer
from penjing.train.schedule import rate


@dataclass(frozen=True)
class Hooks:
    """What the loop calls beside its steps."""

    evaluate: Callable[[], LossReport]
    sample: Callable[[], str]
    save: Callable[[int], Path]  # of the step after which it is called
    tell: Listener


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int  # that were done
    seconds: float  # of training steps alone, without evaluation, samples and saving
    report: LossReport | None  # of the last evaluation; none if interrupted before one
    interrupted: bool


def train(model: LanguageModel, objective: Objective, config: TrainConfig, hooks: Hooks) -> Outcome:
    """Train `model` in place for `config.steps` steps, or until Ctrl-C.

    Ctrl-C ends the run after the step at hand: it is saved, so that nothing is lost. A second one
    raises KeyboardInterrupt at once.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    optimizer = build_optimizer(model, config.optimizer)
    progress = _Progress(config, hooks)
    model.train()
    with _interrupt_flag() as interrupted:
        for step in range(config.steps):
            batch = objective.batch(step)
            factor = rate(step, config.steps, config.schedule)
            with progress.timed_step():
                loss, norm = one_step(model, objective, optimizer, batch, factor, config)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The loss is {loss} at step {step + 1}: the run diverged. Lower "
                    "train.optimizer.lr and train.optimizer.muon_lr, or lengthen "
                    "train.schedule.warmup_steps. The last saved checkpoint is untouched."
                )
            progress.after_step(step + 1, batch, loss, norm, factor)
            if interrupted.is_set():
                break
            progress.side_work(step + 1, model)
    if interrupted.is_set():
        progress.save(progress.done)
    return Outcome(progress.done, progress.seconds, progress.report, interrupted.is_set())


def one_step(
    model: LanguageModel,
    objective: Objective,
    optimizer: Optimizer,
    batch: Batch,
    factor: float,
    config: TrainConfig,
) -> tuple[float, float]:
    """One optimizer step on one batch: its mean loss, and the norm of its gradients, unclipped.

    With a micro-batch size, gradients are summed over parts of the batch, each weighted by its
    share of the targets: the same step in less memory.
    """
    total = 0.0
    for part, weight in _micro_batches(batch, config.micro_batch_size):
        loss = objective.loss(model, part)
        (loss if weight == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]
        total += weight * loss.item()
    limit = config.optimizer.grad_clip or math.inf
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step(factor)
    for parameter in model.parameters():
        parameter.grad = None
    return total, float(norm)


def _micro_batches(batch: Batch, size: int) -> Iterator[tuple[Batch, float]]:
    """Parts of a batch, each with its share of the targets; the shares sum to 1."""
    if not 0 < size < len(batch.inputs):
        yield batch, 1.0
        return
    n_targets = _count(batch.targets)
    for i in range(0, len(batch.inputs), size):
        part = Batch(batch.inputs[i : i + size], batch.targets[i : i + size])
        yield part, _count(part.targets) / n_targets


def _count(targets: Tensor) -> int:
    return int((targets >= 0).sum())


class _Progress:
    """Counts steps and seconds, and does what is due beside them."""

    def __init__(self, config: TrainConfig, hooks: Hooks) -> None:
        self._config, self._hooks = config, hooks
        self._side_seconds = 0.0  # of the last evaluation, sample and save
        self._tokens = 0
        self.done = 0  # steps
        self.seconds = 0.0
        self.report: LossReport | None = None

    @contextmanager
    def timed_step(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - begin

    def after_step(self, step: int, batch: Batch, loss: float, norm: float, factor: float) -> None:
        self.done = step
        self._tokens += batch.targets.numel()
        if step == 1 or step % self._config.log_every == 0 or step == self._config.steps:
            self._tell(
                "step",
                step=step,
                steps=self._config.steps,
                loss=loss,
                lr=factor,
                grad_norm=norm,
                tokens_per_second=self._tokens / self.seconds,
                seconds=self.seconds,
                eta=self._eta(),
            )

    def side_work(self, step: int, model: LanguageModel) -> None:
        """Evaluate, sample and save, each when it is due; all of them after the last step."""
        config = self._config
        begin = time.perf_counter()
        model.eval()
        if self._due(config.eval_every):
            self.report = self._hooks.evaluate()
            seconds = time.perf_counter() - begin
            self._tell("eval", step=step, **asdict(self.report), seconds=seconds)
            self._side_seconds = seconds
        if self._due(config.sample_every):
            text = self._hooks.sample()
            self._tell("sample", step=step, prompt=config.sample_prompt, text=text)
        if self._due(config.save_every):
            self.save(step)
        model.train()

    def save(self, step: int) -> None:
        self._tell("save", step=step, path=str(self._hooks.save(step)))

    def _due(self, every: int) -> bool:
        last = self.done == self._config.steps
        return last or (every > 0 and self.done % every == 0)

    def _eta(self) -> float:
        """Seconds left, with the evaluations that are still to come."""
        left = self._config.steps - self.done
        evaluations = 1 + (left - 1) // self._config.eval_every if self._config.eval_every else 1
        return left * self.seconds / self.done + (evaluations * self._side_seconds if left else 0)

    def _tell(self, kind: str, /, **data: object) -> None:
        self._hooks.tell(Event(kind, data))


@contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """A flag that the first Ctrl-C sets; the second raises KeyboardInterrupt as always."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag  # only the main thread may listen to signals
        return
    before = signal.getsignal(signal.SIGINT)

    def first(_number: int, _frame: FrameType | None) -> None:
        flag.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
