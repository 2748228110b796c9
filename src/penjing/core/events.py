"""What a run tells: a stream of events that the terminal, the page and the log file read alike."""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from penjing.core.errors import DataError
from penjing.core.files import storage_errors


@dataclass(frozen=True)
class Event:
    """One thing that happened: `kind` ("step", "eval", "sample", "save", ...) and its figures."""

    kind: str
    data: Mapping[str, Any]
    time: float = field(default_factory=time.time)  # seconds since the epoch


Listener = Callable[[Event], None]


class JsonLines:
    """A listener that appends each event to a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _drop_torn_line(path)
        # A file name may hold bytes that are no text; they are written as JSON's own escapes.
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def __call__(self, event: Event) -> None:
        row = {"event": event.kind, "time": round(event.time, 3), **event.data}
        with storage_errors(self._path):
            self._file.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        with storage_errors(self._path):
            self._file.close()

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError) if error else nullcontext():  # what went wrong first is told
            self.close()


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as their names."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_events(path: Path) -> Iterator[Event]:
    """The events of a log, in order; a last line cut short by a kill is left out.

    Raises:
        DataError: a line in the middle of the log is not JSON.
    """
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            yield Event(row.pop("event"), row, row.pop("time"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines) and line.startswith(b"{"):
                return
            raise DataError(f"{path}, line {number}: not an event ({error}).") from error


def settled(events: Iterable[Event]) -> list[Event]:
    """The log as if the run had never stopped: what a later "resume" made void is left out.

    A resumed run goes on from a checkpoint, so the steps after it were done again; and so was what
    lies beside the last step, if Ctrl-C came before that. The same holds after a "rollback", but
    what led to it is kept.
    """
    kept: list[Event] = []
    for event in events:
        if event.kind == "resume":
            last = event.data["step"]
            beside = event.data.get("side_work", last)
            kept = [
                e
                for e in kept
                if e.kind != "done"
                and e.data.get("step", 0) <= (beside if e.kind in _BESIDE else last)
            ]
        elif event.kind == "rollback":
            last = event.data["step"]
            redone = {"step", "save", *_BESIDE}
            kept = [e for e in kept if e.kind not in redone or e.data["step"] <= last]
        kept.append(event)
    return kept


_BESIDE = {"eval", "health", "sample"}  # what is done after a step, if it is due


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end, before more is appended."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        text = file.read()
        end = text.rfind(b"\n") + 1
        if end < len(text):
            file.truncate(end)
            os.fsync(file.fileno())
