"""Lines that stand in many places: menus, notices, headers of pages. In flat memory.

How often each line was seen is kept in a count-min sketch (Cormode and Muthukrishnan 2005), which
may count a line too often, but never too seldom; only those that reach `COMMON` are kept as text.
"""

from dataclasses import dataclass

import numpy as np
from numba import uint64

from penjing.compiling.functions import entry
from penjing.data.doctor.scan import Scanned

COMMON = 10  # places from which on a line is kept
_WIDTH = 2**22  # counters of a row of the sketch, 32 MB in all
_MOST = 2**16 - 1  # that a counter holds
_ROWS = 4
_RECENT = 2**16  # lines of the place at hand that are remembered
_KEPT = 50_000  # lines at most


@dataclass
class RepeatedLine:
    """A line, in how many places it stands, and how many bytes it takes there."""

    text: str
    places: int
    n_bytes: int


class RepeatedLines:
    """Counts the lines of batch after batch."""

    def __init__(self) -> None:
        self._counts = np.zeros((_ROWS, _WIDTH), dtype=np.uint16)
        self._recent = np.zeros((2, _RECENT), dtype=np.uint64)  # hash, place
        self._place = 1
        self._known: dict[int, RepeatedLine] = {}

    def add(self, data: bytes, scanned: Scanned) -> None:
        """Count the lines of a batch, each once in each place."""
        hashes, spans = scanned.line_hashes, scanned.line_spans
        if not len(hashes):
            return
        places = (spans[:, 2] + self._place).astype(np.uint64)
        self._place = int(places[-1]) + 1
        estimates = np.zeros(len(hashes), dtype=np.uint32)
        _count(self._counts, self._recent, hashes, places, estimates)
        common = np.flatnonzero(estimates >= COMMON)
        values, first, times = np.unique(hashes[common], return_index=True, return_counts=True)
        for value, at, n in zip(
            values.tolist(), common[first].tolist(), times.tolist(), strict=True
        ):
            begin, end = spans[at, :2].tolist()
            if value not in self._known:
                before = int(estimates[at]) - 1
                text = data[begin:end].decode("utf-8")
                self._known[value] = RepeatedLine(text, before, before * (end - begin))
            line = self._known[value]
            line.places += n
            line.n_bytes += n * (end - begin)
        if len(self._known) > _KEPT:
            ranked = sorted(self._known.items(), key=lambda item: -item[1].n_bytes)
            self._known = dict(ranked[: _KEPT // 2])

    def found(self, least: int = COMMON) -> dict[int, RepeatedLine]:
        """The lines that stand in so many places or more, by hash; the longest in all first."""
        ranked = sorted(self._known.items(), key=lambda item: (-item[1].n_bytes, item[1].text))
        return {value: line for value, line in ranked if line.places >= least}


@entry
def _count(counts, recent, hashes, places, estimates):
    """Count lines that are not in the same place already; 0 is the estimate of those that are."""
    for n in range(len(hashes)):
        value, place = hashes[n], places[n]
        slot = np.int64(value & uint64(_RECENT - 1))
        if recent[0, slot] == value and recent[1, slot] == place:
            continue
        recent[0, slot], recent[1, slot] = value, place
        least = np.int64(_MOST)
        for row in range(_ROWS):
            at = np.int64((value >> uint64(11 * row)) & uint64(_WIDTH - 1))
            least = min(least, np.int64(counts[row, at]))
        for row in range(_ROWS):
            at = np.int64((value >> uint64(11 * row)) & uint64(_WIDTH - 1))
            if counts[row, at] == least < _MOST:  # conservative update (Estan and Varghese 2002)
                counts[row, at] = np.uint16(least + 1)
        estimates[n] = np.uint32(least + 1)
