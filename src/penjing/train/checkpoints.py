"""The checkpoints of a run: each of them whole, the newest few and the best kept.

checkpoints/step-000200/            a model directory, as all others
checkpoints/step-000200/training/   the state of the run: see `penjing.train.state`
model/                              the model to use: the newest, and at the end the best
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from penjing.core.files import atomic_directory
from penjing.model.checkpoint import CHECKPOINTS, saved_steps
from penjing.train.parallel.distributed import SINGLE, World
from penjing.train.state import TrainingState, load_state

TRAINING = "training"


class Checkpoints:
    """The checkpoints of the run at `run`."""

    def __init__(self, run: Path, *, keep: int, every: int = 0) -> None:
        self._run, self._keep, self._every = run, keep, every

    def folder(self, step: int) -> Path:
        """Where the checkpoint of a step lies, or will lie."""
        return self._run / CHECKPOINTS / f"step-{step:06}"

    def newest(self) -> Path | None:
        """The last whole checkpoint."""
        steps = saved_steps(self._run)
        return steps[max(steps)] if steps else None

    def load_due(self, world: World = SINGLE) -> TrainingState | None:
        """The training state of the last checkpoint that was due by the settings.

        Not that of Ctrl-C, nor one by the clock: a run rolls back to the same step whenever it was
        stopped and resumed.

        Raises:
            CheckpointError: it is damaged.
        """
        due = self._due()
        return None if due is None else load_state(self.folder(due) / TRAINING, world)

    def _due(self) -> int | None:
        steps = saved_steps(self._run) if self._every else {}
        return max((step for step in steps if step % self._every == 0), default=None)

    def save(
        self, step: int, write: Callable[[Path], None], *, best: int | None, is_last: bool
    ) -> Path:
        """Have `write` make the checkpoint of a step, show it as model/, and drop older ones.

        `best` is the step of the best one, which is kept, and is model/ when this is the last.

        Raises:
            StorageError: the disk refuses; all that was there before is still there.
        """
        folder = self.folder(step)
        write(folder)
        self.tidy(step, best=best, is_last=is_last)
        return folder

    def tidy(self, step: int, *, best: int | None, is_last: bool) -> None:
        """Show the checkpoint of a step (or the best, if it is the last) as model/, and drop those
        that are not kept. Done once more, it changes nothing."""
        steps = saved_steps(self._run)
        self._publish(steps.get(best or step, steps[step]) if is_last else steps[step])
        newest = sorted(steps)[-1 if is_last else -self._keep :]
        for old, path in steps.items():
            if old not in {*newest, best, None if is_last else self._due()}:
                _remove(path)

    def sweep(self) -> None:
        """Remove what a kill left half written. Only for who holds the run's lock.

        Of a checkpoint that was being replaced by a newer one of the same step, the older is whole:
        it gets its name back if the newer has not got it yet.
        """
        for path in (self._run / CHECKPOINTS).glob(".step-*.old"):
            replaced = re.fullmatch(r"\.(step-\d+)\.[a-z0-9_]{8}\.old", path.name)
            if replaced and not path.with_name(replaced[1]).exists():
                path.rename(path.with_name(replaced[1]))
        for place, name in ((self._run / CHECKPOINTS, "step-*"), (self._run, "model")):
            for ending in ("tmp", "old"):
                for path in place.glob(f".{name}.*.{ending}"):
                    shutil.rmtree(path, ignore_errors=True)
        for path in self._run.glob(".report.html.*.tmp"):
            path.unlink(missing_ok=True)

    def _publish(self, checkpoint: Path) -> None:
        """Make model/ the model of a checkpoint: hard links where the disk has them."""
        with atomic_directory(self._run / "model", replace=True) as folder:
            for file in checkpoint.iterdir():
                if file.is_file():
                    _link(file, folder / file.name)


def _link(file: Path, twin: Path) -> None:
    try:
        os.link(file, twin)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(file, twin)


def _remove(checkpoint: Path) -> None:
    """First by name, so that half of it is never taken for a checkpoint."""
    doomed = checkpoint.with_name(f".{checkpoint.name}.removed.old")
    shutil.rmtree(doomed, ignore_errors=True)
    checkpoint.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
