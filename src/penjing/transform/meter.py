"""How far a transform has come: stages that each have their share of the work, as "job" events."""

from collections.abc import Callable

from penjing.core.events import Listener
from penjing.core.meter import JobMeter


class Meter:
    """Counts the stages of a piece of work, each with its share of the whole.

    Args:
        stages: weight of each stage, in any unit, in the order of work.
    """

    def __init__(self, stages: list[tuple[str, float]], listener: Listener | None) -> None:
        self._stages, self._meter = stages, JobMeter(listener)
        self._total = sum(weight for _, weight in stages) or 1.0
        self._now = -1

    def next(self) -> Callable[[float], None]:
        """The next stage begins; what is returned is told which share of it is done."""
        self._now += 1
        self.tick(0.0)
        return self.tick

    def tick(self, share: float) -> None:
        """Tell the listener which share of the stage is done."""
        label, weight = self._stages[self._now]
        before = sum(w for _, w in self._stages[: self._now])
        self._meter.tell(label, (before + share * weight) / self._total)
