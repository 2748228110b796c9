"""The checkpoints of a run: each of them whole, the newest few and the best kept.

checkpoints/step-000200/            a model directory, as all others
checkpoints/step-000200/training/   the state of the run: see `penjing.train.state`
model/                              the model to use: the newest, and at the end the best
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from penjing.core.files import atomic_directory
from penjing.model.checkpoint import CHECKPOINTS, saved_steps
from penjing.train.distributed import SINGLE, World
from penjing.train.state import TrainingState, load_state

TRAINING = "training"


class Checkpoints:
    """The checkpoints of the run at `run`."""

    def __init__(self, run: Path, *, keep: int) -> None:
        self._run, self._keep = run, keep

    def folder(self, step: int) -> Path:
        """Where the checkpoint of a step lies, or will lie."""
        return self._run / CHECKPOINTS / f"step-{step:06}"

    def newest(self) -> Path | None:
        """The last whole checkpoint."""
        steps = saved_steps(self._run)
        return steps[max(steps)] if steps else None

    def load_newest(self, world: World = SINGLE) -> TrainingState | None:
        """Its training state.

        Raises:
            CheckpointError: it is damaged.
        """
        newest = self.newest()
        return None if newest is None else load_state(newest / TRAINING, world)

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
        steps = saved_steps(self._run)
        chosen = steps.get(best or step, folder) if is_last else folder
        self._publish(chosen)
        newest = sorted(steps)[-1 if is_last else -self._keep :]
        for old, path in steps.items():
            if old not in {*newest, best}:
                _remove(path)
        return folder

    def drop_after(self, step: int) -> None:
        """Forget what lies beyond a step, when a run goes on from there with other data."""
        for later, path in saved_steps(self._run).items():
            if later > step:
                _remove(path)

    def sweep(self) -> None:
        """Remove what a kill left half written. Only for who holds the run's lock."""
        for place, name in ((self._run / CHECKPOINTS, "step-*"), (self._run, "model")):
            for ending in ("tmp", "old"):
                for path in place.glob(f".{name}.*.{ending}"):
                    shutil.rmtree(path, ignore_errors=True)

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
