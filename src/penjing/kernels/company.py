"""Whether a pass of one row is faster with the whole team, or alone.

Where another program has one of the processors, the team waits at each barrier for the thread that
shares it, and one thread by itself can be faster. Which it is, is measured as passes go;
the result has the same bits either way.
"""

import math

RECENT = 0.3  # weight of the newest pass in the mean
FIRST = 8  # passes before alone is tried at first: then everything is warm
TRIES = 2  # passes that make up a try of the other way; the better one counts
EVERY = 64  # passes at least from one try to the next


class Company:
    """Tells before each pass whether to go alone, and is told after it how long it took.

    The team is the rule. Alone is tried when it took less, the last time, than the team takes now;
    who goes alone tries the team again and again.
    """

    def __init__(self) -> None:
        self._seconds: dict[bool, float] = {}  # of a pass lately, alone or not
        self._usual = False  # whether passes are alone for now
        self._tries = 0  # passes that are left of a try
        self._best = math.inf  # pass of this try
        self._left = FIRST  # passes until the next try

    @property
    def alone(self) -> bool:
        """Whether the next pass is to be run by one thread."""
        return self._usual != bool(self._tries)

    def record(self, seconds: float) -> None:
        """The pass that `alone` spoke of took so long."""
        way = self.alone
        if self._tries:
            self._tries -= 1
            self._best = min(self._best, seconds)
            if not self._tries:
                self._seconds[way] = self._best
                self._usual = self._seconds[True] < self._seconds[False]
            return
        mean = self._seconds.get(way, seconds)
        self._seconds[way] = mean + RECENT * (seconds - mean)
        self._left -= 1
        promising = way or self._seconds.get(True, 0.0) < self._seconds[False]
        if self._left <= 0 and promising:
            self._tries, self._best, self._left = TRIES, math.inf, EVERY
