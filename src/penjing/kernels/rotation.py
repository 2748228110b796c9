"""RoPE's cosines and sines, position by position, made as far as they are needed."""

import numpy as np
from numpy.typing import NDArray

from penjing.kernels.network import Rope
from penjing.kernels.vector import LANES

STEP = 1024  # positions that are made at once: always the same ones together, and so the same bits


class RotationTable:
    """cos and sin of each position's angles: float32 (2, positions, D/2 in whole vectors)."""

    def __init__(self, rope: Rope) -> None:
        self.rope = rope
        self.row = -(-rope.frequencies.size // LANES) * LANES
        self.table: NDArray[np.float32] = np.zeros((2, 0, self.row), np.float32)
        # Addresses of the cosines and of the sines, and bytes from one position to the next.
        self.addresses = (0, 0, 4 * self.row)

    def reach(self, length: int) -> None:
        """Make it hold positions 0 to length - 1."""
        known = self.table.shape[1]
        if length <= known:
            return
        steps = range(known, max(length, min(2 * known, 16 * STEP)), STEP)
        self.table = np.concatenate([self.table, *(self._step(first) for first in steps)], axis=1)
        cos, sin = self.table
        self.addresses = int(cos.ctypes.data), int(sin.ctypes.data), 4 * self.row

    def _step(self, first: int) -> NDArray[np.float32]:
        made = np.zeros((2, STEP, self.row), np.float32)
        positions = np.arange(first, first + STEP, dtype=np.float32)
        angles = (positions[:, None] * self.rope.frequencies).astype(np.float64)
        made[0, :, : angles.shape[1]] = np.cos(angles)
        made[1, :, : angles.shape[1]] = np.sin(angles)
        made *= np.float32(self.rope.sharpness)
        return made
