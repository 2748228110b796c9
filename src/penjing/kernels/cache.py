"""The keys and values of one text, laid out for the attention kernel.

For each layer a buffer, in it for each key/value head a region of keys and one of values. Sixteen
positions make a block: values lie position after position, (16, W) with the D channels padded to W,
a multiple of 16; keys lie channel after channel, (W, 16), so that one channel of sixteen positions
is one vector and scores need no sums across lanes.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import GenerationError
from penjing.kernels.pages import LINE
from penjing.kernels.vector import LANES


class CacheShape(NamedTuple):
    """What a network keeps of a position."""

    n_layer: int
    n_kv_head: int
    head_dim: int  # D
    half: bool  # float16, else float32

    @property
    def block_bytes(self) -> int:
        """Of 16 positions, in one layer's and head's keys, or in its values."""
        padded = -(-self.head_dim // LANES) * LANES
        return LANES * padded * (2 if self.half else 4)

    @property
    def bytes_per_token(self) -> int:
        """Memory that one more position takes, over all layers."""
        return 2 * self.n_layer * self.n_kv_head * self.block_bytes // LANES


class KernelCache:
    """The past of one text. `Program.forward` appends to it: the program that made it, or an equal.

    Memory: bytes_per_token times the capacity, which is rounded up to whole blocks of 16; the
    system gives it as positions are filled.
    """

    def __init__(self, shape: CacheShape, capacity: int) -> None:
        """Raises GenerationError: a capacity below 0, or more memory than there is."""
        if capacity < 0:
            raise GenerationError(f"A cache of {capacity} positions was asked for.")
        self.shape, self.capacity, self.length = shape, capacity, 0
        self.layers = [self._buffer(capacity) for _ in range(shape.n_layer)]
        self._locate()

    @property
    def n_bytes(self) -> int:
        """Memory of the whole capacity."""
        return sum(layer.nbytes for layer in self.layers)

    def trim(self, length: int) -> None:
        """Forget everything from position `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"trim to {length}: the cache holds {self.length} positions")
        self.length = length

    def resize(self, capacity: int) -> None:
        """Make room for `capacity` positions, layer by layer: never are there two copies of all.

        Raises:
            GenerationError: more is filled than fits then; or there is no memory for it, and then
                the cache is empty and holds nothing any more.
        """
        if capacity < self.length:
            raise GenerationError(
                f"A cache that holds {self.length} positions cannot have room for {capacity}."
            )
        length, self.length, self.capacity = self.length, 0, 0
        for i, layer in enumerate(self.layers):
            self.layers[i] = self._copy(layer, length, capacity)
        self.length, self.capacity = length, capacity
        self._locate()

    def fork(self, length: int | None = None, capacity: int | None = None) -> Self:
        """An independent copy of the first `length` positions (all of them), with room for
        `capacity` (as many as here)."""
        length = self.length if length is None else length
        capacity = self.capacity if capacity is None else capacity
        if not 0 <= length <= min(self.length, capacity):
            raise ValueError(f"fork {length} of {self.length} positions into {capacity}")
        twin = type(self)(self.shape, 0)
        twin.layers = [self._copy(layer, length, capacity) for layer in self.layers]
        twin.capacity, twin.length = capacity, length
        twin._locate()
        return twin

    def _buffer(self, capacity: int) -> NDArray[np.uint8]:
        """One layer: (heads, keys and values, blocks, bytes of a block), from a cache line on."""
        blocks = -(-capacity // LANES)
        shape = self.shape.n_kv_head, 2, blocks, self.shape.block_bytes
        size = 2 * shape[0] * blocks * shape[3]
        try:
            memory = np.empty(size + LINE, np.uint8)
        except MemoryError as error:
            raise GenerationError(
                f"A cache of {capacity} positions takes {size * self.shape.n_layer:,} bytes, more "
                "than this machine has. Ask for a shorter context."
            ) from error
        start = -memory.ctypes.data % LINE
        return memory[start : start + size].reshape(shape)

    def _copy(self, layer: NDArray[np.uint8], length: int, capacity: int) -> NDArray[np.uint8]:
        filled = -(-length // LANES)
        new = self._buffer(capacity)
        new[:, :, :filled] = layer[:, :, :filled]
        return new

    def _locate(self) -> None:
        """What the kernels need: where each layer begins, and how many blocks a region has."""
        self.blocks = -(-self.capacity // LANES)
        self.addresses = np.array([layer.ctypes.data for layer in self.layers], np.int64)
