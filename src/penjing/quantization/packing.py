"""Levels of a few bits, densely packed in 32-bit words, as compressed-tensors writes them.

Level i of a row takes the bits from i * bits on, lowest first; it may cross into the next word.
What is stored is always unsigned: a signed level q as q + 2^(bits-1).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError


def words_for(count: int, bits: int) -> int:
    """How many 32-bit words hold a row of `count` levels."""
    return (count * bits + 31) // 32


def pack_rows(levels: NDArray[np.uint8], bits: int) -> NDArray[np.int32]:
    """Unsigned levels (N, K) -> words (N, ceil(K bits / 32))."""
    n, k = levels.shape
    if bits == 8:
        stream = levels
    elif bits == 4:
        even, odd = levels[:, 0::2], levels[:, 1::2]
        stream = even.copy()
        stream[:, : odd.shape[1]] |= odd << 4
    else:
        each = np.unpackbits(levels[:, :, None], axis=2, count=bits, bitorder="little")
        stream = np.packbits(each.reshape(n, k * bits), axis=1, bitorder="little")
    padded = np.zeros((n, 4 * words_for(k, bits)), np.uint8)
    padded[:, : stream.shape[1]] = stream
    return padded.view("<i4").astype(np.int32, copy=False)


def unpack_rows(words: NDArray[np.int32], bits: int, count: int) -> NDArray[np.uint8]:
    """Words (N, W) -> the first `count` unsigned levels of each row, (N, count)."""
    stream = np.ascontiguousarray(words).astype("<i4", copy=False).view(np.uint8)
    if bits == 8:
        return stream[:, :count].copy()
    if bits == 4:
        levels = np.empty((len(stream), 2 * stream.shape[1]), np.uint8)
        np.bitwise_and(stream, 15, out=levels[:, 0::2])
        np.right_shift(stream, 4, out=levels[:, 1::2])
        return np.ascontiguousarray(levels[:, :count])
    each = np.unpackbits(stream, axis=1, count=count * bits, bitorder="little")
    each = each.reshape(len(stream), count, bits)
    return np.packbits(each, axis=2, bitorder="little")[:, :, 0]


def to_unsigned(q: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Signed levels -> those that are stored; unsigned ones are so already."""
    if q.dtype == np.uint8:
        return q
    return (q.view(np.uint8) + np.uint8(1 << (bits - 1))) & np.uint8((1 << bits) - 1)


def check_words(words: NDArray[Any], rows: int, count: int, bits: int, name: str) -> None:
    """Raises CheckpointError unless `words` are those of so many rows and levels."""
    wanted = (rows, words_for(count, bits))
    if words.shape != wanted:
        raise CheckpointError(
            f"Tensor {name} has the shape {words.shape}; {rows} rows of {count} numbers of {bits} "
            f"bits fill {wanted}."
        )
