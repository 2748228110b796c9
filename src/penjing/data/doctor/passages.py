"""A sample of a text's passages, by their hashes: what is said twice, and what leaks.

Those passages are kept whose hash is below a limit (Broder 1997; Manber 1994), so that the same
passage is in every sample or in none, wherever it stands. Where there are too many, the limit is
halved: memory is flat, and shares are estimated from up to `CAPACITY` passages.
"""

import numpy as np
from numpy.typing import NDArray

CAPACITY = 2**21
EVERYTHING = 2**64 - 1


class Passages:
    """Hashes of passages, and where these end in the whole text (bytes)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.limit = EVERYTHING
        self._capacity = capacity
        self._hashes: list[NDArray[np.uint64]] = []
        self._ends: list[NDArray[np.int64]] = []
        self._n = 0

    def add(self, hashes: NDArray[np.uint64], ends: NDArray[np.int64]) -> None:
        """Passages of a batch, (P,) each; some may be above a limit that has sunk since."""
        below = hashes <= np.uint64(self.limit)
        self._hashes.append(hashes[below])
        self._ends.append(ends[below])
        self._n += int(below.sum())
        while self._n > self._capacity:
            self.limit //= 2
            kept, where = self.arrays()
            below = kept <= np.uint64(self.limit)
            self._hashes, self._ends = [kept[below]], [where[below]]
            self._n = int(below.sum())

    def arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """All hashes, and where the passages end, in the order of the text."""
        if not self._hashes:
            return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
        return np.concatenate(self._hashes), np.concatenate(self._ends)


def repeated_share(hashes: NDArray[np.uint64]) -> float:
    """The share of passages that stood in the text before."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum()) / max(1, len(ordered))


def known_share(asked: NDArray[np.uint64], known: NDArray[np.uint64]) -> float:
    """The share of the passages asked about that are known."""
    if not len(asked) or not len(known):
        return 0.0
    ordered = np.sort(known)
    at = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
    return float((ordered[at] == asked).mean())
