"""A run's folder and its log.

config.json    all settings
events.jsonl   what happened, one JSON object a line
model/         the checkpoint, from the first save on
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penjing.core.config import to_dict
from penjing.core.events import Event, JsonLines, Listener
from penjing.core.files import storage_errors
from penjing.model.checkpoint import Checkpoint
from penjing.train.config import PretrainConfig


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) run."""

    path: Path
    checkpoint: Checkpoint
    figures: Mapping[str, Any]  # the "done" event's


class Journal:
    """Tells each event to all listeners, and to the log once the run's folder is there."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = list(listeners)
        self._past: list[Event] | None = []  # until the log has joined

    def __call__(self, kind: str, /, **data: Any) -> None:
        self.emit(Event(kind, data))

    def emit(self, event: Event) -> None:
        if self._past is not None:
            self._past.append(event)
        for listener in self._listeners:
            listener(event)

    def join(self, log: Listener) -> None:
        """The log is told first what it missed."""
        for event in self._past or ():
            log(event)
        self._past = None
        self._listeners.append(log)


@contextmanager
def run_folder(out: Path, config: PretrainConfig, tell: Journal) -> Iterator[None]:
    """Make the run's folder, with its settings and its log.

    If the run fails before its first checkpoint, the folder goes too; after it, it stays.

    Raises:
        StorageError: the disk refuses.
    """
    with storage_errors(out):
        out.mkdir(parents=True)
    try:
        with storage_errors(out):
            settings = json.dumps(to_dict(config), indent=2)
            (out / "config.json").write_text(settings + "\n", encoding="utf-8")
            log = JsonLines(out / "events.jsonl")
        with log:
            tell.join(log)
            yield
    except BaseException:
        if not (out / "model").exists():
            shutil.rmtree(out, ignore_errors=True)
        raise
