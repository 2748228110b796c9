"""The one training loop: batch, loss, gradients, step; with evaluation, samples and checkpoints.

It knows nothing of text or of methods: an `Objective` brings batches and a loss, and `Hooks` do
what lies beside the steps.
"""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from penjing.core.errors import CheckpointError
from penjing.evaluate.loss import LossReport
from penjing.model.base import LanguageModel
from penjing.train.config import TrainConfig
from penjing.train.gradients import Gradients, finite
from penjing.train.nonfinite import BadSteps
from penjing.train.objectives import Objective
from penjing.train.parallel.distributed import SINGLE
from penjing.train.parallel.replica import Replica, replicate
from penjing.train.progress import Hooks, Progress
from penjing.train.schedule import rate
from penjing.train.state import TrainingState, capture, put_back


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int  # that were done
    seconds: float  # of training steps alone, without evaluation, samples and saving
    report: LossReport | None  # of the last weights; none if they were not evaluated
    interrupted: bool
    best_step: int | None = None  # the evaluated step of the least loss
    best_loss: float | None = None
    save_seconds: float = 0.0  # of all saving


def train(
    model: LanguageModel,
    objective: Objective,
    config: TrainConfig,
    hooks: Hooks,
    *,
    resume: TrainingState | None = None,
    restore_data: bool = True,
    replica: Replica | None = None,
) -> Outcome:
    """Train `model` in place until `config.steps` steps are done, or until Ctrl-C.

    With `resume` the run goes on from there, as if it had never stopped: on the CPU, with as many
    threads, losses and weights are the same to the last bit. `restore_data=False` leaves the place
    in the data alone, for a text that has changed.

    `replica` is the model as one of several processes holds it. All of them call this together.

    Ctrl-C ends the run when the work at hand is done; then it is saved, so that nothing is lost. A
    second one raises KeyboardInterrupt at once.

    Raises:
        TrainingError: the loss or a gradient is no longer a number, and the settings say to stop,
            or this does not end. The weights are not updated.
        CheckpointError: `resume` belongs to another model or optimizer.
    """
    replica = replica or replicate(model, config, SINGLE)
    optimizer = replica.optimizer(config.optimizer)
    gradients = Gradients(replica)
    world = replica.world
    progress = Progress(config, hooks, gradients)
    if resume is not None:
        put_back(resume, optimizer, objective if restore_data else None, world)
        try:
            progress.restore(resume.counters)
        except KeyError as error:
            raise CheckpointError(
                f"The checkpoint lacks {error}: another version of penjing made it. Resume it "
                "with that version, or start a new run from its model with --from."
            ) from error

    def snapshot(counters: Mapping[str, Any]) -> TrainingState:
        return capture(optimizer, objective, counters, world)

    model.train()
    bad = BadSteps(replica, objective, optimizer, config, progress)
    with _interrupt_flag() as interrupt:
        if progress.owes_side_work:
            progress.side_work(snapshot)
        while not progress.complete:
            step = progress.done
            factor = rate(step, config.steps, config.schedule)
            with progress.timed_step():
                batch = objective.batch(step)
                loss = gradients.fill(objective, batch, config.micro_batch_size)
                norm = gradients.norm()
                good = finite(loss, norm)
                if good:
                    gradients.clip(norm, config.optimizer.grad_clip)
                    optimizer.step(factor)
                gradients.clear()
            if good:
                bad.forget()
                progress.after_step(batch, loss, norm, factor)
            else:
                bad.deal_with(batch, loss, norm)
            interrupted = world.any(interrupt.is_set())
            if progress.owes_side_work and (progress.complete or not interrupted):
                progress.side_work(snapshot)
            if world.any(interrupt.is_set()):
                break
        if progress.saved != progress.done:  # Ctrl-C; or a kill after the last step
            progress.save(snapshot)
    return Outcome(
        steps=progress.done,
        seconds=progress.seconds,
        report=progress.report,
        interrupted=not progress.complete,
        best_step=progress.best_step or None,
        best_loss=progress.best_loss if progress.best_step else None,
        save_seconds=progress.save_seconds,
    )


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
