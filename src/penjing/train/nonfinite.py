"""What to do when a loss or a gradient is no longer a number."""

from dataclasses import asdict

from penjing.core.errors import TrainingError
from penjing.data.batches import Batch
from penjing.train.config import TrainConfig
from penjing.train.health import NonFinite, locate_nonfinite
from penjing.train.objectives import Objective
from penjing.train.optimizers import Optimizer
from penjing.train.parallel.replica import Replica
from penjing.train.progress import Progress
from penjing.train.state import put_back

BAD_STEPS = 10  # since the last good one: no single batch is to blame then
ROLLBACKS = 3  # without a step beyond where the first of them began


class BadSteps:
    """Finds where the bad number arose, tells of it, and stops, skips or rolls back as asked.

    The step's update was not made, so the weights are those from before it.
    """

    def __init__(
        self,
        replica: Replica,
        objective: Objective,
        optimizer: Optimizer,
        config: TrainConfig,
        progress: Progress,
    ) -> None:
        self._replica, self._objective, self._optimizer = replica, objective, optimizer
        self._config, self._progress = config, progress
        self._in_a_row = 0
        self._rollbacks, self._furthest = 0, 0

    def forget(self) -> None:
        """A step was good."""
        self._in_a_row = 0

    def deal_with(self, batch: Batch, loss: float, norm: float) -> None:
        """Tell, and act as the settings say.

        Raises:
            TrainingError: the settings say to stop, or skipping and rolling back do not help.
        """
        self._in_a_row += 1
        step = self._progress.done + 1
        found = self._locate(batch)
        action = self._config.on_nonfinite
        show = self._progress.hooks.text
        self._progress.tell(
            "nonfinite",
            step=step,
            loss=loss,
            norm=norm,
            where=found.where,
            tensor=found.tensor,
            layer=found.layer,
            rows=list(found.rows),
            text=show(batch.inputs[found.rows[0]]) if show and found.rows else None,
            action=action,
        )
        if action == "stop" or self._in_a_row >= BAD_STEPS:
            raise TrainingError(
                f"The run diverged at step {step}: the loss is {loss:g} and the gradient's norm "
                f"{norm:g}. {found} Lower train.optimizer.lr and train.optimizer.muon_lr, or "
                "lengthen train.schedule.warmup_steps; train.on_nonfinite can skip such a batch or "
                "roll back. A checkpoint that was saved before is untouched."
            )
        if action == "skip":
            self._progress.skipped()
        else:
            self._roll_back(step)

    def _locate(self, batch: Batch) -> NonFinite:
        """Where the number broke: the main process looks, and tells the others."""
        whole = self._replica.whole()
        found = locate_nonfinite(whole, self._objective, batch) if whole is not None else None
        told = self._replica.world.agree(asdict(found) if found else None)
        return found or NonFinite(**told | {"rows": tuple(told["rows"])})

    def _roll_back(self, step: int) -> None:
        """To the last save; but the data goes on, so that the batch does not come again."""
        load = self._progress.hooks.load
        state = load() if load is not None else None
        if step > self._furthest:
            self._furthest, self._rollbacks = step, 0
        self._rollbacks += 1
        if state is None or self._rollbacks > ROLLBACKS:
            why = "nothing was saved yet" if state is None else f"it did so {ROLLBACKS} times"
            raise TrainingError(
                f"The run diverged at step {step} and cannot roll back once more: {why}. Lower "
                "train.optimizer.lr and train.optimizer.muon_lr, and begin anew."
            )
        put_back(state, self._optimizer, None, self._replica.world)
        self._progress.roll_back(state.counters)
