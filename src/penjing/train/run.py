"""A run's folder, its log, and its lock.

config.json     all settings
events.jsonl    what happened, one JSON object a line
checkpoints/    see `penjing.train.checkpoints`
model/          the model to use
report.html     the run as a page
lock            held by the process that works here
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from penjing.core.config import from_dict, to_dict
from penjing.core.errors import CheckpointError, ConfigError, StorageError
from penjing.core.events import Event, JsonLines, Listener, read_events, settled
from penjing.core.files import atomic_directory, storage_errors
from penjing.model.checkpoint import Checkpoint, saved_steps
from penjing.train.config import PretrainConfig
from penjing.train.doctor.doctor import Doctor

LOCK_SECONDS = 1.0  # to wait for who only looks whether somebody works here
SETTINGS, LOG, LOCK = "config.json", "events.jsonl", "lock"


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) run."""

    path: Path
    checkpoint: Checkpoint
    figures: Mapping[str, Any]  # the "done" event's


class Journal:
    """Tells each event to all listeners, and to the log once the run's folder is there.

    What the loss doctor finds in an event is told right after it.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = list(listeners)
        self.doctor = Doctor()
        self.has_steps = False
        self._past: list[Event] | None = []  # until the log has joined

    def __call__(self, kind: str, /, **data: Any) -> None:
        self.emit(Event(kind, data))

    def emit(self, event: Event) -> None:
        if self._past is not None:
            self._past.append(event)
        for listener in self._listeners:
            listener(event)
        self.has_steps |= event.kind == "step"
        for diagnosis in self.doctor.observe(event):
            self.emit(Event("diagnosis", asdict(diagnosis)))

    def join(self, log: Listener) -> None:
        """The log is told first what it missed."""
        for event in self._past or ():
            log(event)
        self._past = None
        self._listeners.append(log)


@contextmanager
def new_run(out: Path, config: PretrainConfig, tell: Journal) -> Iterator[None]:
    """Make the run's folder, with its settings and its log, and hold its lock.

    If the run fails before its first step is told, the folder goes too; after it, it stays.

    Raises:
        StorageError: it exists already, or the disk refuses.
    """
    with atomic_directory(out) as folder:  # so that whatever lies there is a run
        settings = json.dumps(to_dict(config), indent=2)
        (folder / SETTINGS).write_text(settings + "\n", encoding="utf-8")
        (folder / LOG).touch()
    with locked(out):
        try:
            with _logged(out, tell):
                yield
        except BaseException:
            if not (tell.has_steps or saved_steps(out)):
                shutil.rmtree(out, ignore_errors=True)
            raise


@contextmanager
def old_run(path: Path, tell: Journal) -> Iterator[PretrainConfig]:
    """Go on with the run at `path`: its settings, its log to append to, and its lock.

    Raises:
        CheckpointError: there is no run, or its settings are damaged.
        StorageError: another process works there, or the disk refuses.
    """
    config = read_settings(path)
    with locked(path):
        tell.doctor = Doctor(config.train)
        for event in settled(read_events(path / LOG)):
            tell.doctor.observe(event)
        with _logged(path, tell):
            yield config


def read_settings(path: Path) -> PretrainConfig:
    """The settings of a run.

    Raises:
        CheckpointError: there is no run, or its settings are damaged.
    """
    file = path / SETTINGS
    if not file.is_file() or not (path / LOG).is_file():
        raise CheckpointError(f"There is no run in {path}: it needs {SETTINGS} and {LOG}.")
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return from_dict(PretrainConfig, data, where=str(file))
    except (ValueError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Nobody else works in this folder until the block ends, or the process does.

    Raises:
        StorageError: somebody does.
    """
    lock = FileLock(run / LOCK)
    try:
        with storage_errors(run):
            lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise StorageError(
            f"Another process works in {run}. Wait until it ends, or choose another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _logged(run: Path, tell: Journal) -> Iterator[None]:
    with storage_errors(run):
        log = JsonLines(run / LOG)
    with log:
        tell.join(log)
        yield
