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
from penjing.train.optimizers import build_optimizer
from penjing.train.schedule import rate


@dataclass(frozen=True)
class Hooks:
    """What the loop calls beside its steps."""

    evaluate: Callable[[], LossReport]
    sample: Callable[[], str]
    save: Callable[[int, LossReport | None], Path]  # step, and how its weights were evaluated
    tell: Listener


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int  # that were done
    seconds: float  # of training steps alone, without evaluation, samples and saving
    report: LossReport | None  # of the last weights; none if they were not evaluated
    interrupted: bool


def train(model: LanguageModel, objective: Objective, config: TrainConfig, hooks: Hooks) -> Outcome:
    """Train `model` in place for `config.steps` steps, or until Ctrl-C.

    Ctrl-C ends the run when the work at hand is done; then it is saved, so that nothing is lost. A
    second one raises KeyboardInterrupt at once.

    Raises:
        TrainingError: the loss or a gradient is no longer a number. The weights are not updated.
    """
    optimizer = build_optimizer(model, config.optimizer)
    progress = _Progress(config, hooks)
    model.train()
    with _interrupt_flag() as interrupt:
        for step in range(config.steps):
            with progress.timed_step():
                batch = objective.batch(step)
                loss, norm = backward(model, objective, batch, config)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    raise _diverged(step + 1, loss, norm)
                factor = rate(step, config.steps, config.schedule)
                optimizer.step(factor)
                for parameter in model.parameters():
                    parameter.grad = None
            progress.after_step(step + 1, batch, loss, norm, factor)
            if not interrupt.is_set() or progress.complete:
                progress.side_work()
            if interrupt.is_set():
                break
        interrupted = not progress.complete
        if interrupted:
            progress.save()
    return Outcome(progress.done, progress.seconds, progress.report, interrupted)


def backward(
    model: LanguageModel, objective: Objective, batch: Batch, config: TrainConfig
) -> tuple[float, float]:
    """Fill the gradients: the batch's mean loss, and the norm of all gradients before clipping.

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
    return total, float(norm)


def _diverged(step: int, loss: float, norm: float) -> TrainingError:
    return TrainingError(
        f"The run diverged at step {step}: the loss is {loss:g} and the gradient's norm {norm:g}. "
        "Lower train.optimizer.lr and train.optimizer.muon_lr, or lengthen "
        "train.schedule.warmup_steps. A checkpoint that was saved before is untouched."
    )


def _micro_batches(batch: Batch, size: int) -> Iterator[tuple[Batch, float]]:
    """Parts of a batch, each with its share of the targets; the shares sum to 1."""
    if not 0 < size < len(batch.inputs):
        yield batch, 1.0
        return
    n_targets = _count(batch.targets)
    for i in range(0, len(batch.inputs), size):
        part = Batch(batch.inputs[i : i + size], batch.targets[i : i + size])
        if count := _count(part.targets):
            yield part, count / n_targets


def _count(targets: Tensor) -> int:
    return int((targets >= 0).sum())


class _Progress:
    """Counts steps and seconds, and does what is due beside them."""

    def __init__(self, config: TrainConfig, hooks: Hooks) -> None:
        self._config, self._hooks = config, hooks
        self._tokens = 0
        self._side_seconds: dict[str, float] = {}  # of the last evaluation, sample and save
        self.done = 0  # steps
        self.seconds = 0.0
        self.report: LossReport | None = None  # of the weights as they are now

    @property
    def complete(self) -> bool:
        return self.done == self._config.steps

    @contextmanager
    def timed_step(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - begin

    def after_step(self, step: int, batch: Batch, loss: float, norm: float, factor: float) -> None:
        self.done, self.report = step, None
        self._tokens += batch.targets.numel()
        if step == 1 or step % self._config.log_every == 0 or self.complete:
            self._tell(
                "step",
                step=step,
                steps=self._config.steps,
                loss=loss,
                rate=factor,
                grad_norm=norm,
                tokens_per_second=self._tokens / self.seconds,
                seconds=self.seconds,
                eta=self._eta(),
            )

    def side_work(self) -> None:
        """Evaluate, save and sample, each when it is due; all of them after the last step."""
        config = self._config
        if self._due(config.eval_every):
            with self._side("eval"):
                self.report = self._hooks.evaluate()
            seconds = self._side_seconds["eval"]
            self._tell("eval", step=self.done, **asdict(self.report), seconds=seconds)
        if self._due(config.save_every):
            self.save()
        if self._due(config.sample_every):
            with self._side("sample"):
                text = self._hooks.sample()
            self._tell("sample", step=self.done, prompt=config.sample_prompt, text=text)

    def save(self) -> None:
        with self._side("save"):
            path = self._hooks.save(self.done, self.report)
        self._tell("save", step=self.done, path=str(path))

    def _due(self, every: int) -> bool:
        return self.complete or (every > 0 and self.done % every == 0)

    @contextmanager
    def _side(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._side_seconds[name] = time.perf_counter() - begin

    def _eta(self) -> float:
        """Seconds left, with the evaluations, samples and saves that are still to come."""
        config = self._config
        left = config.steps - self.done
        every = {
            "eval": config.eval_every,
            "sample": config.sample_every,
            "save": config.save_every,
        }
        side = sum(
            (1 + (left - 1) // every[name] if every[name] else 1) * seconds
            for name, seconds in self._side_seconds.items()
        )
        return left * self.seconds / self.done + (side if left else 0.0)

    def _tell(self, kind: str, /, **data: object) -> None:
        self._hooks.tell(Event(kind, data))


@contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """A flag that the first Ctrl-C (or SIGTERM) sets; the second raises KeyboardInterrupt."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag  # only the main thread may listen to signals
        return

    def first(_number: int, _frame: FrameType | None) -> None:
        flag.set()
        for number in before:
            signal.signal(number, signal.default_int_handler)

    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, first)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
