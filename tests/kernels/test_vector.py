"""Vectors in compiled functions, and the product of bytes, against NumPy."""

import numpy as np
import pytest
from numba import njit

from penjing.compiling.functions import entry
from penjing.kernels import memory, vector
from penjing.kernels.dot import dot, dot_small
from penjing.kernels.features import available, isa

RNG = np.random.default_rng(0)


@njit
def _arithmetic(a, b, out):  # type: ignore[no-untyped-def]
    x, y = memory.load(a), memory.load(b)
    memory.store(out, x + y)
    memory.store(out + 64, x - y * np.float32(2))
    memory.store(out + 128, vector.fma(x, y, x))
    memory.store(out + 192, vector.maximum(x, y))
    memory.store(out + 256, vector.minimum(x, y) / y)
    memory.store(out + 320, vector.to_floats((vector.as_ints(x) >> 20) | 1))
    memory.store(out + 384, vector.square_root(x * x))
    memory.store(out + 448, vector.splat(vector.total(x)))
    memory.store(out + 512, vector.splat(vector.largest(x)))
    memory.store(out + 576, vector.set_lane(x, 3, vector.lane(y, 5)))


def test_arithmetic() -> None:
    x, y = (RNG.standard_normal(16).astype(np.float32) * 9 for _ in range(2))
    out = np.zeros((10, 16), np.float32)
    _arithmetic(x.ctypes.data, y.ctypes.data, out.ctypes.data)
    replaced = x.copy()
    replaced[3] = y[5]
    folded = x.copy()
    for width in (8, 4, 2, 1):
        folded = folded[:width] + folded[width : 2 * width]
    fused = (x.astype(np.float64) * y + x).astype(np.float32)
    wanted = [x + y, x - y * 2, fused, np.maximum(x, y), np.minimum(x, y) / y]
    wanted += [x.view(np.int32) >> 20 | 1, np.sqrt(x * x)]
    wanted += [np.full(16, folded[0]), np.full(16, x.max()), replaced]
    for row, right in zip(out, wanted, strict=True):
        np.testing.assert_array_equal(row, np.asarray(right, np.float32))


@njit
def _widen(halves, bfloats, out):  # type: ignore[no-untyped-def]
    memory.store(out, memory.load_halves(halves))
    memory.store(out + 64, memory.load_bfloats(bfloats))


def test_every_half_and_bfloat_becomes_its_float() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    out = np.zeros((2, 16), np.float32)
    with np.errstate(invalid="ignore"):
        halves = bits.view(np.float16).astype(np.float32)
    bfloats = (bits.astype(np.uint32) << 16).view(np.float32)
    for first in range(0, 2**16, 16):
        address = bits[first:].ctypes.data
        _widen(address, address, out.ctypes.data)
        np.testing.assert_array_equal(out[0], halves[first : first + 16])
        np.testing.assert_array_equal(out[1], bfloats[first : first + 16])


GRID = vector.Shape(3, 2)


@njit
def _outer(a, b, out, distance, count):  # type: ignore[no-untyped-def]
    rows, blocks = memory.load_row_floats(GRID, a, 4), memory.load_block_floats(GRID, b, 64)
    grid = vector.fma(rows, blocks, vector.zeros(GRID))
    memory.store_grid(out, grid, 4 * 60, 4 * distance, count)


@pytest.mark.parametrize("count", [16, 40, 15, 3, 1])
@pytest.mark.parametrize("distance", [16, 37])
def test_grids_broadcast_and_store_no_more_than_asked(distance: int, count: int) -> None:
    a, b = RNG.standard_normal(3).astype(np.float32), RNG.standard_normal(32).astype(np.float32)
    out = np.full((3, 60), -1.0, np.float32)
    _outer(a.ctypes.data, b.ctypes.data, out.ctypes.data, distance, count)
    wanted = np.full((3, 60), -1.0, np.float32)
    wanted[:, :16] = np.outer(a, b)[:, :16]
    last = min(count, 16)
    wanted[:, distance : distance + last] = np.outer(a, b)[:, 16 : 16 + last]
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("count", [16, 5])
def test_blocks_at_no_distance_are_all_the_last_one(count: int) -> None:
    a, b = RNG.standard_normal(3).astype(np.float32), np.tile(np.float32(range(16)), 2)
    out = np.full((3, 60), -1.0, np.float32)
    _outer(a.ctypes.data, b.ctypes.data, out.ctypes.data, 0, count)
    np.testing.assert_array_equal(out[:, :count], np.outer(a, b)[:, :count])
    assert np.all(out[:, count:] == -1.0)


@entry
def _dots(isa, start, weights, activations, out):  # type: ignore[no-untyped-def]
    begin, w, x = (
        vector.as_ints(memory.load(start)),
        vector.as_ints(memory.load(weights)),
        vector.as_ints(memory.load(activations)),
    )
    memory.store(out, dot(isa, begin, w, x))
    memory.store(out + 64, dot_small(isa, begin, w & 0x0F0F0F0F, x))


@pytest.mark.parametrize("way", available())
def test_products_of_bytes_are_exact(way: str) -> None:
    """With the largest there are, too: instructions that saturate would show here."""
    for trial in range(40):
        w = RNG.integers(0, 256, (16, 4)).astype(np.uint8)
        x = RNG.integers(-127, 128, (16, 4)).astype(np.int8)
        if trial < 8:
            w[:], x[::2], x[1::2] = 255, -127, 127
        start = RNG.integers(-(2**20), 2**20, 16).astype(np.int32)
        out = np.zeros((2, 16), np.int32)
        _dots(isa(way), *(a.ctypes.data for a in (start, w, x, out)))
        np.testing.assert_array_equal(out[0], start + (w.astype(int) * x).sum(1))
        np.testing.assert_array_equal(out[1], start + ((w & 15).astype(int) * x).sum(1))
