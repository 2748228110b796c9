"""What lies beside the steps: counting, telling, evaluating, sampling, saving."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from penjing.core.events import Event, Listener
from penjing.data.batches import Batch
from penjing.evaluate.loss import LossReport
from penjing.train.config import TrainConfig
from penjing.train.gradients import Gradients
from penjing.train.state import TrainingState

SAVE_SHARE = 0.01  # of the time, at most, for saving by itself
SAVE_SECONDS = 30.0  # between two savings by itself, at least


@dataclass(frozen=True)
class Snapshot:
    """A run between two steps, to be saved."""

    step: int  # steps done
    state: TrainingState
    report: LossReport | None  # of these weights; none if they were not evaluated
    is_best: bool  # no evaluated step before was as good
    best_step: int | None
    is_last: bool  # the run is complete


@dataclass(frozen=True)
class Scale:
    """What turns nats into bits per byte, and tokens into MFU; 0 or None if not known."""

    bytes_per_token: float = 0.0
    flops_per_token: Callable[[int], float] | None = None  # of windows of that length
    peak_flops: float = 0.0  # FLOP/s


def _ignore(_event: Event) -> None:
    """A listener that does not listen."""


@dataclass(frozen=True)
class Hooks:
    """What the loop calls beside its steps, where it is given."""

    tell: Listener = _ignore
    evaluate: Callable[[], LossReport] | None = None
    sample: Callable[[], str] | None = None
    save: Callable[[Snapshot], Path] | None = None
    load: Callable[[], TrainingState | None] | None = None  # what was saved last
    # From each parameter's gradient norm to the "health" event's figures of each layer.
    health: Callable[[Mapping[str, float]], Mapping[str, Any]] | None = None
    text: Callable[[Tensor], str] | None = None  # a row of a batch (T,), to be read
    scale: Scale = field(default_factory=Scale)


class Progress:
    """Counts steps and seconds, and does what is due beside them."""

    def __init__(self, config: TrainConfig, hooks: Hooks, gradients: Gradients) -> None:
        self._config, self.hooks, self._gradients = config, hooks, gradients
        self._side_seconds: dict[str, float] = {}  # of the last evaluation, sample and save
        self._last_save = time.perf_counter()
        self._worked = 0  # tokens, those of steps that were rolled back too
        self._flops = 0.0  # of these
        self.done = 0  # steps
        self.tokens = 0
        self.seconds = 0.0  # of steps alone
        self.save_seconds = 0.0  # of all saving
        self.saved = 0  # the step of the last save
        self._side_work = 0  # the step whose side work was done last
        self.report: LossReport | None = None  # of the weights as they are now
        self.best_loss, self.best_step = math.inf, 0

    @property
    def owes_side_work(self) -> bool:
        """Ctrl-C came before the evaluation, sample or save of the last step."""
        return self._side_work != self.done

    @property
    def complete(self) -> bool:
        return self.done >= self._config.steps

    def counters(self) -> dict[str, Any]:
        """What a resumed run must know, for JSON."""
        return {
            "step": self.done,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "save_seconds": self.save_seconds,
            "worked": self._worked,
            "flops": self._flops,
            "side_work": self._side_work,
            "side_seconds": self._side_seconds,
            "norms": self._gradients.norms(),
            "report": asdict(self.report) if self.report else None,
            "best": [self.best_step, self.best_loss] if self.best_step else None,
        }

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Count on from there."""
        self.done, self.tokens = counters["step"], counters["tokens"]
        self.seconds, self.save_seconds = counters["seconds"], counters["save_seconds"]
        self.best_step, self.best_loss = counters["best"] or (0, math.inf)
        self.saved, self._side_work = self.done, counters["side_work"]
        self._worked, self._flops = counters["worked"], counters["flops"]
        self._side_seconds = dict(counters["side_seconds"])
        self._gradients.restore_norms(counters["norms"])
        report = counters["report"]
        self.report = LossReport(**report) if report else None

    @contextmanager
    def timed_step(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - begin

    def after_step(self, batch: Batch, loss: float, norm: float, factor: float) -> None:
        """A step is done: count it, and tell of it when that is due."""
        self.done += 1
        self.tokens += batch.targets.numel()
        self._worked += batch.targets.numel()
        if flops := self.hooks.scale.flops_per_token:
            self._flops += batch.targets.numel() * flops(batch.targets.size(1))
        self.report = None
        if self.done == 1 or self.done % self._config.log_every == 0 or self.complete:
            self._tell_step(loss, norm, factor)

    def skipped(self) -> None:
        """A step was done without an update."""
        self.done += 1
        self.report = None

    def roll_back(self, counters: Mapping[str, Any]) -> None:
        """To the step of `counters`; the time that was spent stays spent."""
        self.done, self.tokens = counters["step"], counters["tokens"]
        self._side_work = self.done
        self.report = None
        self.tell("rollback", step=self.done)

    def side_work(self, capture: Callable[[Mapping[str, Any]], TrainingState]) -> None:
        """Evaluate, sample and save, each when it is due; all of them after the last step."""
        config, hooks = self._config, self.hooks
        self._side_work = self.done
        best = False
        evaluated = bool(hooks.evaluate) and self._due(config.eval_every)
        if evaluated:
            best = self._evaluate()
        looking = self._due(config.health_every) if config.health_every else evaluated
        if hooks.health and looking:
            self.tell("health", step=self.done, **hooks.health(self._gradients.norms()))
        if hooks.sample and self._due(config.sample_every):
            with self._side("sample"):
                text = hooks.sample()
            self.tell("sample", step=self.done, prompt=config.sample_prompt, text=text)
        if best or self._due(config.save_every) or self._due_by_itself():
            self.save(capture, is_best=best)

    def save(
        self, capture: Callable[[Mapping[str, Any]], TrainingState], *, is_best: bool = False
    ) -> None:
        """Have the hooks keep the run as it is now."""
        if self.hooks.save is None:
            return
        with self._side("save"):
            snapshot = Snapshot(
                step=self.done,
                state=capture(self.counters()),
                report=self.report,
                is_best=is_best,
                best_step=self.best_step or None,
                is_last=self.complete,
            )
            path = self.hooks.save(snapshot)
        seconds = self._side_seconds["save"]
        self.save_seconds += seconds
        self.saved = self.done
        self._last_save = time.perf_counter()
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        told: dict[str, Any] = {"path": str(path), "seconds": seconds, "bytes": size}
        self.tell("save", step=self.done, **told, best=is_best)

    def tell(self, kind: str, /, **data: Any) -> None:
        self.hooks.tell(Event(kind, data))

    def _evaluate(self) -> bool:
        """Whether the weights are the best so far."""
        assert self.hooks.evaluate is not None
        with self._side("eval"):
            self.report = self.hooks.evaluate()
        seconds = self._side_seconds["eval"]
        self.tell("eval", step=self.done, **asdict(self.report), seconds=seconds)
        best = self.report.loss < self.best_loss
        if best:
            self.best_loss, self.best_step = self.report.loss, self.done
        return best

    def _due(self, every: int) -> bool:
        return self.complete or (every > 0 and self.done % every == 0)

    def _due_by_itself(self) -> bool:
        """Whether so much was done since the last save that another one is cheap."""
        if self._config.save_every:
            return False
        cost = self._side_seconds.get("save", 0.0)
        since = time.perf_counter() - self._last_save
        return self._gradients.world.any(since > max(SAVE_SECONDS, cost / SAVE_SHARE))

    @contextmanager
    def _side(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._side_seconds[name] = time.perf_counter() - begin

    def _tell_step(self, loss: float, norm: float, factor: float) -> None:
        scale = self.hooks.scale
        speed = self._worked / self.seconds if self.seconds else 0.0
        bits = loss / math.log(2) / scale.bytes_per_token if scale.bytes_per_token else None
        peak = scale.peak_flops * self.seconds
        mfu = self._flops / peak if peak else None
        self.tell(
            "step",
            step=self.done,
            steps=self._config.steps,
            loss=loss,
            bits_per_byte=bits,
            rate=factor,
            grad_norm=norm,
            tokens=self.tokens,
            tokens_per_second=speed,
            mfu=mfu,
            seconds=self.seconds,
            eta=self._eta(),
        )

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
            ((config.steps - 1) // n - self.done // n + 1 if (n := every[name]) else 1) * seconds
            for name, seconds in self._side_seconds.items()
        )
        return left * self.seconds / self.done + (side if left else 0.0)
