"""How far a piece of work has come, and how long it will still take, as "job" events."""

import time
from collections.abc import Callable

from penjing.core.events import Event, Listener


class JobMeter:
    """Tells how far some work is, and when it will be done if it goes on as it went until now.

    The work begins when the meter is made. An event "job" has {label, done (share of the work,
    0 .. 1), seconds (since it began), eta (seconds left; infinite while nobody knows)}.

    Args:
        listener: who is told; None: nobody.
        before: share that was done earlier, and took none of this time.
        least: share that must be done before the time left is known.
        clock: gives the time in seconds.
    """

    def __init__(
        self,
        listener: Listener | None,
        *,
        before: float = 0.0,
        least: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener, self._before, self._least, self._clock = listener, before, least, clock
        self._begin = clock()

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return self._clock() - self._begin

    def tell(self, label: str, done: float) -> None:
        """Which share of the work is done, and what is being done now."""
        if self._listener is None:
            return
        done, seconds = min(1.0, done), self.seconds
        new = done - self._before
        eta = seconds / new * (1 - done) if new > self._least else float("inf")
        data = {"label": label, "done": done, "seconds": seconds, "eta": eta}
        self._listener(Event("job", data))
