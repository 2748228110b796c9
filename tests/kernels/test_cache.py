"""A text's keys and values: memory that is known, copies that are independent."""

import numpy as np
import pytest

from penjing.core.errors import GenerationError
from penjing.kernels.cache import CacheShape, KernelCache

SHAPE = CacheShape(n_layer=3, n_kv_head=2, head_dim=20, half=True)


def filled(capacity: int, length: int) -> KernelCache:
    cache = KernelCache(SHAPE, capacity)
    for number, layer in enumerate(cache.layers):
        layer[:] = (np.arange(layer.size) + number).astype(np.uint8).reshape(layer.shape)
    cache.length = length
    return cache


def test_memory_is_known() -> None:
    assert SHAPE.bytes_per_token == 2 * 3 * 2 * 32 * 2  # 20 channels are padded to 32
    assert KernelCache(SHAPE, 64).n_bytes == 64 * SHAPE.bytes_per_token
    assert KernelCache(SHAPE, 65).n_bytes == 80 * SHAPE.bytes_per_token
    assert KernelCache(SHAPE, 0).n_bytes == 0
    assert all(address % 64 == 0 for address in KernelCache(SHAPE, 17).addresses)


def test_a_fork_is_independent() -> None:
    cache = filled(64, 40)
    twin = cache.fork(20, capacity=33)
    assert (twin.length, twin.capacity, twin.blocks) == (20, 33, 3)
    for mine, theirs in zip(cache.layers, twin.layers, strict=True):
        np.testing.assert_array_equal(theirs[:, :, :2], mine[:, :, :2])
        theirs[:] = 0
        assert mine.any()


def test_resizing_keeps_what_is_filled() -> None:
    cache = filled(64, 40)
    before = [layer.copy() for layer in cache.layers]
    for capacity in (200, 48):
        cache.resize(capacity)
        assert (cache.capacity, cache.length) == (capacity, 40)
        for mine, theirs in zip(before, cache.layers, strict=True):
            np.testing.assert_array_equal(theirs[:, :, :3], mine[:, :, :3])
        assert cache.addresses.tolist() == [layer.ctypes.data for layer in cache.layers]


def test_errors() -> None:
    cache = filled(64, 40)
    for length in (-1, 41):
        with pytest.raises(ValueError, match="trim"):
            cache.trim(length)
    with pytest.raises(ValueError, match="fork"):
        cache.fork(41)
    with pytest.raises(ValueError, match="fork"):
        cache.fork(capacity=39)
    with pytest.raises(GenerationError, match="cannot have room for 39"):
        cache.resize(39)
    with pytest.raises(GenerationError, match="-1 positions"):
        KernelCache(SHAPE, -1)
    with pytest.raises(GenerationError, match="more than this machine has"):
        KernelCache(SHAPE, 1 << 50)


def test_without_memory_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not addresses of what was freed."""
    cache, buffer, made = filled(64, 40), KernelCache._buffer, []

    def scarce(self: KernelCache, capacity: int) -> np.ndarray:
        if made:
            raise GenerationError("no memory")
        made.append(capacity)
        return buffer(self, capacity)

    monkeypatch.setattr(KernelCache, "_buffer", scarce)
    with pytest.raises(GenerationError, match="no memory"):
        cache.resize(200)
    assert (cache.length, cache.capacity) == (0, 0)
    monkeypatch.undo()
    cache.resize(32)
    assert cache.addresses.tolist() == [layer.ctypes.data for layer in cache.layers]
    assert all(layer.shape[2] == cache.blocks == 2 for layer in cache.layers)
