"""Products of packed matrices against NumPy in float64, and bit for bit against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penjing.compiling.functions import entry
from penjing.core.errors import PenjingError
from penjing.kernels.features import available, isa
from penjing.kernels.layout import HALF_SCALES
from penjing.kernels.matrix import n_blocks, pack
from penjing.kernels.pages import aligned
from penjing.kernels.rows import read_row
from penjing.kernels.selftest import Expected, expected, product
from penjing.quantization.tensor import QuantizedTensor

WAYS = available()
# bits, signed, columns in a group (0: the whole row), scales that float16 holds exactly
SCHEMES = {
    "Q4_0": (4, True, 32, True),
    "Q4_1": (4, False, 32, True),
    "Q4_K": (4, False, 32, False),
    "int4 of 128": (4, True, 128, True),
    "int4 of 16": (4, False, 16, True),
    "uint4 per channel": (4, False, 0, False),
    "int3 of 64": (3, True, 64, False),
    "Q8_0": (8, True, 32, True),
    "int8 per channel": (8, True, 0, False),
    "int8 per channel, exact scales": (8, True, 0, True),
    "uint8 of 64": (8, False, 64, False),
    "Q6_K": (6, True, 16, False),
    "int8 of 48": (8, True, 48, True),
}
FLOATS = ("float32", "float16", "bfloat16")


def quantized(scheme: str, n: int, k: int, seed: int = 0) -> QuantizedTensor:
    """Random weights (N, K) of a scheme."""
    bits, signed, group, halves = SCHEMES[scheme]
    group = group or k
    rng = np.random.default_rng(seed)
    low = -(2 ** (bits - 1)) if signed else 0
    q = rng.integers(low, low + 2**bits, (n, k)).astype(np.int8 if signed else np.uint8)
    scale = rng.uniform(0.01, 0.02, (n, k // group)).astype(np.float32)
    offset = None if signed else rng.uniform(-0.2, 0.0, scale.shape).astype(np.float32)
    if halves:
        scale = scale.astype(np.float16).astype(np.float32)
        offset = None if offset is None else offset.astype(np.float16).astype(np.float32)
    return QuantizedTensor(q, scale, offset, bits, group, scheme)


def floats(kind: str, n: int, k: int, seed: int = 0) -> tuple[NDArray[np.generic], Expected | None]:
    """Random weights (N, K) as they are packed."""
    w = np.random.default_rng(seed).standard_normal((n, k)).astype(np.float32)
    if kind == "bfloat16":
        return (w.view(np.uint32) >> 16).astype(np.uint16), None
    return w.astype(kind), None


def as_float32(weights: NDArray[np.generic]) -> NDArray[np.float32]:
    if weights.dtype == np.uint16:
        return (weights.astype(np.uint32) << 16).view(np.float32)
    return weights.astype(np.float32)


def rows_of(m: int, k: int, seed: int = 1) -> NDArray[np.float32]:
    x = np.random.default_rng(seed).standard_normal((m, k)).astype(np.float32)
    return x * np.float32(3) ** np.arange(m, dtype=np.float32)[:, None]


def assert_close(out: NDArray[np.float32], right: Expected) -> None:
    assert np.all(np.abs(out - right.values) <= right.bounds)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_integers_agree_with_numpy(scheme: str, way: str) -> None:
    k = 144 if SCHEMES[scheme][2] == 48 else 256
    weights, x = quantized(scheme, 50, k), rows_of(6, k)
    assert_close(product(isa(way), x, pack(isa(way), weights)), expected(x, weights))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FLOATS)
def test_floats_agree_with_numpy(kind: str, way: str) -> None:
    weights, _ = floats(kind, 50, 75)
    x = rows_of(6, 75)
    out = product(isa(way), x, pack(isa(way), weights))
    assert_close(out, expected(x, as_float32(weights)))


@pytest.mark.parametrize("name", [*SCHEMES, *FLOATS])
def test_the_bits_are_the_same_in_any_company(name: str) -> None:
    """On every instruction set, alone and among others, whole and in parts."""
    k = 144
    n, m = 83, 9
    if name in SCHEMES and k % (SCHEMES[name][2] or k):
        k = 256
    weights = quantized(name, n, k) if name in SCHEMES else floats(name, n, k)[0]
    x = rows_of(m, k)
    whole = product(isa(WAYS[0]), x, pack(isa(WAYS[0]), weights))
    for way in WAYS:
        packed = pack(isa(way), weights)
        np.testing.assert_array_equal(product(isa(way), x, packed, (1, 4)), whole)
        for rows in (slice(0, 1), slice(4, 6), slice(2, 5), slice(1, 9)):
            np.testing.assert_array_equal(product(isa(way), x[rows], packed), whole[rows])


@settings(max_examples=60, deadline=None)
@given(
    scheme=st.sampled_from([*SCHEMES, *FLOATS]),
    n=st.integers(1, 70),
    groups=st.integers(1, 5),
    m=st.integers(1, 10),
    way=st.sampled_from(WAYS),
    seed=st.integers(0, 1000),
)
def test_any_shape(scheme: str, n: int, groups: int, m: int, way: str, seed: int) -> None:
    weights: QuantizedTensor | NDArray[np.generic]
    if scheme in SCHEMES:
        k = groups * (SCHEMES[scheme][2] or 37)
        weights = quantized(scheme, n, k, seed)
        right = expected(rows_of(m, k, seed), weights)
    else:
        k = groups * 7
        weights = floats(scheme, n, k, seed)[0]
        right = expected(rows_of(m, k, seed), as_float32(weights))
    assert_close(product(isa(way), rows_of(m, k, seed), pack(isa(way), weights)), right)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["Q4_1", "Q8_0", "Q6_K", "float32"])
def test_what_is_no_number_does_not_come_out_as_one(name: str, bad: float) -> None:
    weights = quantized(name, 20, 64) if name in SCHEMES else floats(name, 20, 64)[0]
    x = rows_of(5, 64)
    sound = product(isa(WAYS[0]), x, pack(isa(WAYS[0]), weights))
    x[2, 40] = bad
    for way in WAYS:
        out = product(isa(way), x, pack(isa(way), weights))
        assert not np.isfinite(out[2]).any()
        np.testing.assert_array_equal(np.delete(out, 2, 0), np.delete(sound, 2, 0))


@pytest.mark.parametrize("size", [0.0, 1e-42, 1e-38, 1e-30, 1e30])
def test_very_small_and_very_large_activations(size: float) -> None:
    weights, x = quantized("Q4_1", 17, 64), rows_of(4, 64) / np.float32(100)
    small = (x * np.float32(size)).astype(np.float32)
    out = product(isa(WAYS[0]), small, pack(isa(WAYS[0]), weights))
    wanted = small.astype(np.float64) @ weights.dequantize().T
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, wanted, atol=0.1 * float(np.abs(wanted).max()) + 1e-36)


def test_no_more_than_the_outputs_is_written() -> None:
    weights = quantized("Q4_0", 19, 32)
    packed = pack(isa(WAYS[0]), weights)
    out = product(isa(WAYS[0]), rows_of(3, 32), packed, (1,))
    assert np.isfinite(out).all()  # row m's last outputs are not run over by row m - 1's padding
    assert_close(out, expected(rows_of(3, 32), weights))


@entry
def _read(_isa, fields, row, out):  # type: ignore[no-untyped-def]
    read_row(fields, row, out)


@pytest.mark.parametrize("name", [*SCHEMES, *FLOATS])
def test_a_row_is_read_back_exactly(name: str) -> None:
    k = 144 if name == "int8 of 48" else 128
    weights = quantized(name, 37, k) if name in SCHEMES else floats(name, 37, k)[0]
    packed = pack(isa("vector"), weights)
    full = weights.dequantize() if isinstance(weights, QuantizedTensor) else as_float32(weights)
    for row in (0, 15, 16, 36):
        out = aligned(4 * k).view(np.float32)
        _read(isa("vector"), packed.fields, row, out.ctypes.data)
        np.testing.assert_array_equal(out, full[row])


def test_scales_take_two_bytes_only_where_that_is_exact() -> None:
    exact, inexact = quantized("Q4_1", 16, 64), quantized("Q4_K", 16, 64)
    assert pack(isa("vector"), exact).fields[HALF_SCALES] == 1
    assert pack(isa("vector"), inexact).fields[HALF_SCALES] == 0
    assert pack(isa("vector"), exact).nbytes == 16 * 64 // 2 + 2 * 2 * (16 * 64 // 32)
    assert n_blocks(17) == 2


@pytest.mark.parametrize("groups", [1, 3, 4, 19])
def test_an_odd_group_wastes_no_memory(groups: int) -> None:
    weights = quantized("Q8_0", 32, 32 * groups)
    size = pack(isa("vector"), weights).nbytes
    assert size <= 32 * groups * (32 + 4)  # at most the integers, and a float32 scale a group


def test_what_cannot_be_packed_is_refused() -> None:
    weights = quantized("Q4_0", 16, 64)
    odd = QuantizedTensor(weights.q, np.ones((16, 8), np.float32), None, 4, 8, "groups of 8")
    with pytest.raises(PenjingError, match="groups of 8"):
        pack(isa("vector"), odd)
    with pytest.raises(PenjingError, match="float64"):
        pack(isa("vector"), np.zeros((4, 4)))
