"""Block formats of ggml against gguf's own code, bit for bit."""

import gguf
import numpy as np
import pytest

from penjing.core.errors import CheckpointError
from penjing.quantization import ggml
from penjing.quantization.ggml import BLOCK_TYPES, FLOAT_TYPES, QUANTIZED_OUT
from penjing.quantization.tensor import QuantizedTensor

QUANTIZED = [name for name in BLOCK_TYPES if name not in FLOAT_TYPES]


def kind(name: str) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType[name]


def weights(n: int = 7, k: int = 256, seed: int = 0) -> np.ndarray:
    """Like a model's: bell-shaped, rows of different size, an outlier, a row and a block of 0."""
    w = np.random.default_rng(seed).normal(size=(n, k)).astype(np.float32)
    w *= np.geomspace(1e-4, 10, n, dtype=np.float32)[:, None]
    w[3, 40] = 300
    w[1] = 0
    w[2, 32:64] = 0
    w[4, :32] = 0.25  # one value: Q4_1's scale is 0
    return w


def blocks(name: str, n: int = 6, k: int = 768, seed: int = 1) -> np.ndarray:
    """Random bytes, with scales that are finite: a block of any content is a valid one."""
    size = k // BLOCK_TYPES[name].weights * BLOCK_TYPES[name].size
    raw = np.random.default_rng(seed).integers(0, 256, (n, size), dtype=np.uint8)
    each = raw.reshape(n, -1, BLOCK_TYPES[name].size)
    for start in {"Q6_K": (208,), "Q8_0": (0,), "Q4_0": (0,), "Q5_0": (0,)}.get(name, (0, 2)):
        each[:, :, start + 1] &= 0xBF  # an exponent below float16's largest
    return raw


@pytest.mark.parametrize("name", list(BLOCK_TYPES))
def test_sizes_are_ggmls(name):
    number, block = kind(name), BLOCK_TYPES[name]
    assert (int(number), gguf.GGML_QUANT_SIZES[number]) == (
        block.number,
        (block.weights, block.size),
    )


@pytest.mark.parametrize("name", QUANTIZED)
def test_unpacking_is_exact(name):
    raw = blocks(name)
    tensor = ggml.unpack_blocks(raw, name)
    np.testing.assert_array_equal(tensor.dequantize(), gguf.quants.dequantize(raw, kind(name)))
    assert tensor.q.shape == (6, 768) and tensor.scale.shape == (6, 768 // tensor.group)
    assert tensor.bits == BLOCK_TYPES[name].bits and tensor.q.itemsize == 1


@pytest.mark.parametrize("name", FLOAT_TYPES)
def test_floats_there_and_back(name):
    w = weights()
    raw = ggml.pack_floats(w, name)
    np.testing.assert_array_equal(
        raw, np.ascontiguousarray(gguf.quants.quantize(w, kind(name))).view(np.uint8)
    )
    np.testing.assert_array_equal(
        ggml.unpack_floats(raw, name), gguf.quants.dequantize(raw, kind(name))
    )


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001])
@pytest.mark.parametrize("name", FLOAT_TYPES)
def test_what_is_no_number_stays_so(name, bits):
    w = np.array([[bits, 0x3F800000]], np.uint32).view(np.float32)
    there = ggml.unpack_floats(ggml.pack_floats(w, name), name)
    assert np.isnan(there[0, 0]) and there[0, 1] == 1


def test_too_large_beside_what_is_no_number():
    with pytest.raises(CheckpointError, match=r"A weight of 7e\+04 is too large"):
        ggml.pack_floats(np.array([[np.nan, 7e4]], np.float32), "F16")


@pytest.mark.parametrize("name", QUANTIZED_OUT)
@pytest.mark.parametrize("seed", range(5))
def test_rounding_is_the_references(name, seed):
    w = weights(seed=seed)
    raw = ggml.pack_blocks(ggml.round_to_blocks(w, name), name)
    np.testing.assert_array_equal(raw, gguf.quants.quantize(w, kind(name)))


@pytest.mark.parametrize("name", QUANTIZED_OUT)
def test_packing_undoes_unpacking(name):
    raw = blocks(name)
    np.testing.assert_array_equal(ggml.pack_blocks(ggml.unpack_blocks(raw, name), name), raw)


def own(bits: int, group: int, *, offset: bool, scale_bits: int = 8) -> QuantizedTensor:
    """As our own rounding would make it; scales of `scale_bits` significant bits."""
    rng = np.random.default_rng(bits * group)
    high = 1 << (bits - 1)
    scale = rng.integers(1 << (scale_bits - 1), 1 << scale_bits, (5, 256 // group)) / 4096
    scale = scale.astype(np.float32)
    q = rng.integers(-high + 1, high, (5, 256))
    if not offset:
        return QuantizedTensor(q.astype(np.int8), scale, None, bits, group, "own")
    zero = rng.integers(0, 2 * high, scale.shape).astype(np.float32)
    return QuantizedTensor((q + high).astype(np.uint8), scale, -scale * zero, bits, group, "own")


@pytest.mark.parametrize(
    ("bits", "offset", "name"),
    [
        (4, False, "Q4_0"),
        (4, False, "Q4_1"),
        (4, False, "Q8_0"),
        (8, False, "Q8_0"),
        (4, True, "Q4_1"),
        (4, True, "Q8_0"),
        (3, False, "Q4_0"),
    ],
)
@pytest.mark.parametrize("group", [32, 64, 256])
def test_our_own_rounding_is_kept_exactly(bits, offset, name, group):
    tensor = own(bits, group, offset=offset, scale_bits=7)
    fitted, same = ggml.refit(tensor, name)
    assert same and fitted.scheme == name
    raw = ggml.pack_blocks(fitted, name)
    np.testing.assert_array_equal(gguf.quants.dequantize(raw, kind(name)), tensor.dequantize())


def test_scales_that_float16_has_not_are_rounded_and_said():
    tensor = own(4, 64, offset=False, scale_bits=20)
    fitted, same = ggml.refit(tensor, "Q4_0")
    assert not same
    np.testing.assert_array_equal(fitted.q, tensor.q)
    np.testing.assert_allclose(fitted.dequantize(), tensor.dequantize(), rtol=2**-11)


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        (own(8, 64, offset=False), "Q4_0"),  # too many bits
        (own(8, 64, offset=False), "Q4_1"),
        (own(4, 16, offset=False), "Q4_0"),  # groups smaller than a block
        (own(8, 64, offset=True), "Q4_1"),
        (own(4, 64, offset=False), "Q4_K"),  # no format that we write
    ],
)
def test_what_does_not_fit(tensor, name):
    assert ggml.refit(tensor, name) is None


def test_a_minimum_that_is_no_zero_point_stays_in_q4_1():
    tensor = ggml.round_to_blocks(weights(), "Q4_1")
    assert ggml.refit(tensor, "Q8_0") is None
    fitted, same = ggml.refit(tensor, "Q4_1")
    assert same
    np.testing.assert_array_equal(fitted.dequantize(), tensor.dequantize())


@pytest.mark.parametrize(
    ("w", "said"),
    [
        (np.zeros((2, 40), np.float32), "Rows of 40 weights"),
        (np.full((2, 32), np.nan, np.float32), "not finite"),
        (np.full((2, 32), 1e30, np.float32) * np.tile([1, -1], 16), "beyond float16"),
    ],
)
def test_weights_that_cannot_be_rounded(w, said):
    for name in QUANTIZED_OUT:
        with pytest.raises(CheckpointError, match=said):
            ggml.round_to_blocks(w.astype(np.float32), name)


def test_float16_has_an_end():
    with pytest.raises(CheckpointError, match="65504"):
        ggml.pack_floats(np.array([[1e6]], np.float32), "F16")
