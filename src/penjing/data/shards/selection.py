"""Some documents of a split of shards, one behind the other, as if there were no others."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.data.shards.reading import ShardedIds


class SelectedIds:
    """The ids of some documents, read where they lie: nothing is copied.

    Args:
        ids: of the whole split.
        ends: (D,) where each of its documents ends in them.
        chosen: (D,) which documents are wanted.
    """

    def __init__(self, ids: ShardedIds, ends: NDArray[np.int64], chosen: NDArray[np.bool_]) -> None:
        turns = np.flatnonzero(np.diff(chosen, prepend=False, append=False))  # runs of documents
        starts = np.concatenate([[0], ends])[turns[0::2]]  # (S,) of each stretch of ids
        stops = ends[turns[1::2] - 1]
        self._ids = ids
        self._ends = np.cumsum(stops - starts)  # (S,) of each stretch, among those chosen
        self._shift = stops - self._ends  # (S,) from a place among those chosen to that in `ids`
        stretches = np.ascontiguousarray([starts, stops], "<i8").tobytes()
        self.sha256 = hashlib.sha256(bytes.fromhex(ids.sha256) + stretches).hexdigest()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """The ids from `start` to before `stop`, (N,) in the type that they have on disk."""
        return self.take(np.arange(start, min(stop, len(self)), dtype=np.int64))

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The ids at `places`, of any shape."""
        stretch = np.searchsorted(self._ends, places, side="right")
        return self._ids.take(places + self._shift[stretch])
