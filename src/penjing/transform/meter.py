"""How far a transform has come, and how long it will still take, as "job" events."""

import time
from collections.abc import Callable

from penjing.core.events import Event, Listener


class Meter:
    """Counts the stages of a piece of work, each with its share of the whole.

    Args:
        stages: weight of each stage, in any unit, in the order of work.
    """

    def __init__(
        self,
        stages: list[tuple[str, float]],
        listener: Listener | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages, self._listener, self._clock = stages, listener, clock
        self._total = sum(weight for _, weight in stages) or 1.0
        self._begin = clock()
        self._now = -1

    def next(self) -> Callable[[float], None]:
        """The next stage begins; what is returned is told which share of it is done."""
        self._now += 1
        self.tick(0.0)
        return self.tick

    def tick(self, share: float) -> None:
        """Tell the listener: label, share of all that is done, seconds left."""
        if self._listener is None:
            return
        label, weight = self._stages[self._now]
        before = sum(w for _, w in self._stages[: self._now])
        done = (before + share * weight) / self._total
        spent = self._clock() - self._begin
        eta = spent / done * (1 - done) if done > 0 else float("inf")
        self._listener(Event("job", {"label": label, "done": done, "eta": eta}))
