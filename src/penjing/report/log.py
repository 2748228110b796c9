"""A run as its folder tells of it: settings and events, read without torch and without trust.

A log may be of an older version, of a run that was killed, or of one whose loss was not a number.
What is not there is NaN, or an empty list.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from penjing.core.errors import DataError
from penjing.core.events import Event, read_events, settled

SETTINGS, LOG = "config.json", "events.jsonl"
_NOTHING: Mapping[str, Any] = {}

Point = tuple[float, float]


@dataclass(frozen=True)
class RunLog:
    """The settings and the settled events of one run."""

    name: str
    config: Mapping[str, Any]
    events: list[Event] = field(repr=False)

    @staticmethod
    def of(config: Mapping[str, Any], events: Iterable[Event], name: str = "") -> "RunLog":
        """From what is in memory; `name` is by default that of the folder the log names."""
        log = RunLog(name, config, settled(filter(_has_place, events)))
        return RunLog(name or log._folder() or "run", log.config, log.events)

    @staticmethod
    def read(run: Path) -> "RunLog":
        """From a run's folder.

        Raises:
            DataError: there is no run, or its settings or its log are damaged.
        """
        missing = [name for name in (SETTINGS, LOG) if not (run / name).is_file()]
        if missing:
            what = (
                f"it has no {' and no '.join(missing)}"
                if run.is_dir()
                else "there is no such folder"
            )
            raise DataError(
                f"{run} is no run: {what}. A run's folder holds {SETTINGS} and {LOG}; "
                "`penjing runs` lists those in runs/."
            )
        try:
            config = json.loads((run / SETTINGS).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{run / SETTINGS} is damaged: {error}.") from error
        if not isinstance(config, dict):
            raise DataError(f"{run / SETTINGS} is damaged: it is no table of settings.")
        return RunLog.of(config, read_events(run / LOG), run.absolute().name)

    def of_kind(self, kind: str) -> list[Event]:
        """All events of a kind, in order."""
        return self._by_kind.get(kind, [])

    def last(self, kind: str) -> Mapping[str, Any]:
        """The fields of the last event of a kind; empty if there is none."""
        found = self.of_kind(kind)
        return found[-1].data if found else _NOTHING

    def points(self, kind: str, *path: str, x: str = "step") -> list[Point]:
        """One figure of a kind of events over the steps; NaN where it is missing or no number.

        A run that rolled back did some steps twice: those that count are the later ones.

        Args:
            path: the field's name, and for a table in it that of its entry.
            x: the field that goes along the other axis.
        """
        points: list[Point] = []
        for event in self.of_kind(kind):
            place = real(event.data.get(x))
            if not math.isfinite(place):
                continue
            while points and points[-1][0] >= place:
                points.pop()
            points.append((place, real(_inside(event.data, path))))
        return points

    def names(self, kind: str, field: str) -> list[str]:
        """The entries that a table in a kind of events ever had, in order."""
        tables = (event.data.get(field) for event in self.of_kind(kind))
        return list(dict.fromkeys(n for t in tables if isinstance(t, Mapping) for n in t))

    @property
    def step(self) -> int:
        """Steps done."""
        steps = (real(self.last(kind).get("step")) for kind in ("done", "step", "save", "eval"))
        return int(max((s for s in steps if math.isfinite(s)), default=0))

    @property
    def steps(self) -> int:
        """Steps planned; 0 if nobody said."""
        train = self.config.get("train")
        said = (
            self.last("start").get("steps"),
            self.last("step").get("steps"),
            train.get("steps") if isinstance(train, Mapping) else None,
        )
        return int(next((s for s in map(real, said) if math.isfinite(s)), 0))

    @property
    def state(self) -> str:
        """`finished`, `failed`, or `interrupted` (Ctrl-C or a kill); it may also still be running.

        It failed if the last thing it met was a number that is not finite, and it was to stop then.
        """
        done = self.last("done")
        if done:
            return "interrupted" if done.get("interrupted") else "finished"
        told = [e for e in self.events if e.kind not in ("diagnosis", "health")]
        stopped = told and told[-1].kind == "nonfinite" and told[-1].data.get("action") == "stop"
        return "failed" if stopped else "interrupted"

    @property
    def bytes_per_token(self) -> float:
        """Of the validation split; NaN in logs that do not say."""
        said = real(self.last("start").get("bytes_per_token"))
        if math.isfinite(said):
            return said
        last = self.last("eval")
        loss, bits = real(last.get("loss")), real(last.get("bits_per_byte"))
        return loss / math.log(2) / bits if bits > 0 else math.nan

    @property
    def baselines(self) -> dict[str, float]:
        """Bits per byte of predictors that know nothing, or only how common tokens are."""
        start = self.last("start")
        table = start.get("baselines")
        if not isinstance(table, Mapping):
            table = {"unigram": start.get("unigram_bits_per_byte")}
        read = {str(name): real(value) for name, value in table.items()}
        return {name: value for name, value in read.items() if math.isfinite(value)}

    @property
    def expected(self) -> tuple[float, float] | None:
        """Bits per byte that runs of this size end with."""
        band = self.last("start").get("expected")
        if not isinstance(band, Mapping):
            return None
        low, high = real(band.get("low")), real(band.get("high"))
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None

    def bits_per_byte(self, kind: str, x: str = "step") -> list[Point]:
        """Of "step" (the training batches) or "eval" (the validation split)."""
        points = self.points(kind, "bits_per_byte", x=x)
        if any(math.isfinite(y) for _, y in points):
            return points
        scale = math.log(2) * self.bytes_per_token
        return [(a, loss / scale) for a, loss in self.points(kind, "loss", x=x)]

    def best(self) -> tuple[int, float] | None:
        """The evaluated step with the fewest bits per byte, and these."""
        known = [(y, x) for x, y in self.bits_per_byte("eval") if math.isfinite(y)]
        return (int(min(known)[1]), min(known)[0]) if known else None

    def _folder(self) -> str:
        path = self.last("done").get("path")
        return Path(path).name if isinstance(path, str) else ""

    @cached_property
    def _by_kind(self) -> dict[str, list[Event]]:
        kinds: dict[str, list[Event]] = {}
        for event in self.events:
            kinds.setdefault(event.kind, []).append(event)
        return kinds


def real(value: object) -> float:
    """A number of a log as a float: "nan" and "inf" as they are meant, anything else as NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _has_place(event: Event) -> bool:
    """Whether an event's step, if it has one, is a number; a resume must have one."""
    step = event.data.get("step", None if event.kind == "resume" else 0)
    return isinstance(step, int | float)


def _inside(data: Mapping[str, Any], path: Iterable[str]) -> object:
    value: object = data
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    names: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            names |= flat(value, f"{prefix}{name}.")
        else:
            names[f"{prefix}{name}"] = value
    return names


def setting(value: object) -> str:
    """A setting as one writes it on the command line."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    if value is None:
        return "auto"
    return '""' if value == "" else str(value)
