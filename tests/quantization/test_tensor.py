"""Small integers with scales, and the numbers that they stand for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.quantization.tensor import QuantizedTensor


def make(offset: NDArray[np.float32] | None, bits: int = 4) -> QuantizedTensor:
    q = np.random.default_rng(0).integers(0, 16, (3, 64)).astype(np.uint8)
    scale = np.linspace(0.01, 0.2, 6, dtype=np.float32).reshape(3, 2)
    return QuantizedTensor(q, scale, offset, bits, 32, "some scheme")


def test_each_group_has_its_scale_and_offset() -> None:
    offset = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    tensor = make(offset)
    for row in range(3):
        for column in range(64):
            expected = float(tensor.scale[row, column // 32]) * int(tensor.q[row, column])
            expected += float(offset[row, column // 32])
            assert tensor.dequantize()[row, column] == pytest.approx(expected, abs=1e-6)
    assert tensor.dequantize().dtype == np.float32 and tensor.shape == (3, 64)


def test_zero_points_are_found_again() -> None:
    zero = np.arange(6, dtype=np.int32).reshape(3, 2)
    tensor = make((-make(None).scale * zero).astype(np.float32))
    assert np.array_equal(tensor.zero_points(), zero)  # type: ignore[arg-type]
    assert make(None).zero_points() is None


def test_an_offset_between_two_steps_is_no_zero_point() -> None:
    tensor = make((-make(None).scale * 3.5).astype(np.float32))
    with pytest.raises(CheckpointError, match=r"some scheme shifts .* it has no zero points"):
        tensor.zero_points()


def test_bytes() -> None:
    assert make(None).n_bytes == 3 * 64 // 2 + 6 * 2
    assert make(None, bits=3).n_bytes == 3 * 64 * 3 // 8 + 6 * 2
    assert make(np.zeros((3, 2), np.float32)).n_bytes == 3 * 64 // 2 + 6 * 4
