"""Memory for the kernels: from a cache line on, and weights one behind the other in large pages.

A pass reads all weights from one end to the other: with pages of 2 MiB it needs few entries of the
page table, and packing asks the system for few pages.
"""

import threading

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes of a cache line
PAGE = 1 << 21  # bytes of a large page, on most processors
REGION = 16 * PAGE  # what is asked of the system at once

Bytes = NDArray[np.uint8]


def aligned(n_bytes: int, to: int = LINE) -> Bytes:
    """Zeros that begin at a cache line, or at a multiple of `to`."""
    memory = np.zeros(n_bytes + to, np.uint8)
    start = -memory.ctypes.data % to
    return memory[start : start + n_bytes]


class Arena:
    """Zeros, one piece after the other. For several threads at once.

    NumPy asks the system for large pages when it takes 4 MiB or more (madvise, on Linux). Memory
    that nobody has written to yet is not taken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._region = aligned(0)

    def take(self, n_bytes: int) -> Bytes:
        """So many bytes from a cache line on. They live as long as the array does."""
        size = -(-n_bytes // LINE) * LINE
        with self._lock:
            if size > len(self._region):
                self._region = aligned(max(REGION, size), PAGE)
            piece, self._region = self._region[:n_bytes], self._region[size:]
        return piece
