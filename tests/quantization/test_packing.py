"""Packed levels, held against compressed-tensors' own code for all numbers of bits."""

import numpy as np
import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import (
    pack_to_int32,
    unpack_from_int32,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.core.errors import CheckpointError
from penjing.quantization.packing import (
    check_words,
    pack_rows,
    to_unsigned,
    unpack_rows,
    words_for,
)


def some_levels(bits: int, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    half = 1 << (bits - 1)
    generator = np.random.default_rng(seed)
    return generator.integers(-half, half, (rows, columns)).astype(np.int8)


@pytest.mark.parametrize("bits", range(2, 9))
@settings(max_examples=25)
@given(rows=st.integers(1, 5), columns=st.integers(1, 70), seed=st.integers(0, 99))
def test_both_ways_as_compressed_tensors(bits: int, rows: int, columns: int, seed: int) -> None:
    q = some_levels(bits, rows, columns, seed)
    levels = to_unsigned(q, bits)
    theirs = pack_to_int32(torch.from_numpy(q), bits)
    ours = pack_rows(levels, bits)
    assert np.array_equal(ours, theirs.numpy()) and ours.shape == (rows, words_for(columns, bits))
    again = unpack_from_int32(torch.from_numpy(ours), bits, torch.Size(q.shape))
    assert np.array_equal(again.numpy(), q)
    assert np.array_equal(unpack_rows(theirs.numpy(), bits, columns), levels)


@pytest.mark.parametrize("bits", [4, 8])
def test_zero_points_are_packed_down_the_columns(bits: int) -> None:
    zero = some_levels(bits, 37, 3)
    theirs = pack_to_int32(torch.from_numpy(zero), bits, packed_dim=0)
    assert np.array_equal(pack_rows(to_unsigned(zero.T, bits), bits).T, theirs.numpy())


def test_levels_are_counted_from_the_lowest() -> None:
    q = np.array([[-8, 0, 7]], np.int8)
    assert to_unsigned(q, 4).tolist() == [[0, 8, 15]]
    assert to_unsigned(np.array([[3]], np.uint8), 4).tolist() == [[3]]
    assert pack_rows(to_unsigned(q, 4), 4).tolist() == [[0xF80]]


def test_words_of_another_size_are_refused() -> None:
    words = np.zeros((2, 3), np.int32)
    check_words(words, 2, 24, 4, "up.weight_packed")
    with pytest.raises(CheckpointError, match=r"up.weight_packed has the shape \(2, 3\).*\(2, 4\)"):
        check_words(words, 2, 25, 4, "up.weight_packed")
