"""How long passes take and how often guesses are right: whether speculation pays, as measured."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

QUICKER, SLOWER = 0.5, 0.1  # weight of a new time below or above the mean: stalls count for little
MEMORY = 0.9  # weight that an older guess keeps for each newer one
PRIOR = 2.0  # guesses that a text's acceptance starts with: those of all texts before it


class PassTimes:
    """Mean seconds of a pass, by its number of rows."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._rows: list[int] = []  # its keys, in order

    def record(self, rows: int, seconds: float) -> None:
        seconds = max(seconds, 1e-9)  # a clock may be coarse
        mean = self._seconds.get(rows)
        if mean is None:
            insort(self._rows, rows)
        else:
            seconds = mean + (QUICKER if seconds < mean else SLOWER) * (seconds - mean)
        self._seconds[rows] = seconds

    def expect(self, rows: int) -> float:
        """Seconds of a pass: between two measured numbers of rows on the line through both,
        beyond them as the nearest. So what was never tried looks cheap, and is tried."""
        known = self._rows
        if not known:
            return 1.0
        at = bisect_left(known, rows)
        if at == len(known) or known[at] == rows or at == 0:
            return self._seconds[known[min(at, len(known) - 1)]]
        low, high = known[at - 1], known[at]
        share = (rows - low) / (high - low)
        return (1 - share) * self._seconds[low] + share * self._seconds[high]


@dataclass
class Acceptance:
    """How often guesses of one text were right lately."""

    right: float
    tried: float

    @classmethod
    def like(cls, rate: float) -> "Acceptance":
        return cls(right=PRIOR * rate, tried=PRIOR)

    @property
    def rate(self) -> float:
        return self.right / self.tried

    def record(self, right: int, wrong: int) -> None:
        """`right` guesses in a row, then perhaps a wrong one."""
        for good in [1] * right + [0] * wrong:
            self.right = MEMORY * self.right + good
            self.tried = MEMORY * self.tried + 1


def worthwhile(
    rates: Sequence[float],
    most: Sequence[int],
    rows: int,
    times: PassTimes,
    round_seconds: float = 0.0,
) -> list[int]:
    """How many guesses to verify for each text, so that tokens per second are the most.

    Guess number j of text i is used if it and all before it are right: with probability
    rates[i]**j. Of a pass of `rows` rows without guesses, likeliest first, guesses are added for
    as long as that raises expected tokens per expected second. `most` bounds each text's number;
    a round of drafting, one guess for every text, takes `round_seconds`.

    With one text: Leviathan et al. 2023, "Fast inference from Transformers via speculative
    decoding", section 3.4, with measured instead of assumed costs.
    """
    chances = sorted(
        ((rate**j, i, j) for i, rate in enumerate(rates) for j in range(1, most[i] + 1)),
        key=lambda chance: (-chance[0], chance[2]),
    )
    tokens = float(max(1, len(rates)))
    best, best_rate, rounds = 0, tokens / times.expect(rows), 0
    for n, (chance, _, j) in enumerate(chances, start=1):
        tokens, rounds = tokens + chance, max(rounds, j)
        rate = tokens / (times.expect(rows + n) + rounds * round_seconds)
        if rate > best_rate:
            best, best_rate = n, rate
    counts = [0] * len(rates)
    for _, i, _ in chances[:best]:
        counts[i] += 1
    return counts
