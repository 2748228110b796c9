"""Whether the kernels compute what they should here: a few products held against NumPy."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from penjing.kernels.activations import GROUP, quantize_rows, row_bytes
from penjing.kernels.compiling import entry
from penjing.kernels.features import Isa
from penjing.kernels.matmul import multiply
from penjing.kernels.matrix import PackedMatrix, aligned, n_blocks, pack
from penjing.quantization.tensor import QuantizedTensor

Floats = NDArray[np.float32]

_EPS = 2.0**-24  # half a unit in the last place of 1, in float32
_ROWS, _OUTPUTS, _COLUMNS = 5, 35, 96  # neither rows nor outputs fill their last tile


@entry
def _multiply(_isa, fields, x, records, out, first, last):  # type: ignore[no-untyped-def]
    rows, columns = x.shape
    quantize_rows(x.ctypes.data, x.strides[0], rows, columns, records.ctypes.data)
    to, stride = out.ctypes.data, out.strides[0]
    source = records.ctypes.data
    multiply(fields, x.ctypes.data, x.strides[0], source, rows, to, stride, first, last)


def product(isa: Isa, x: Floats, matrix: PackedMatrix, splits: tuple[int, ...] = ()) -> Floats:
    """x (M, K) times a packed matrix (N, K), transposed: (M, N), blocks cut at `splits`."""
    rows, outputs = x.shape[0], matrix.shape[0]
    out = np.full((rows, outputs), np.nan, np.float32)
    records = aligned(rows * row_bytes(x.shape[1]))
    edges = (0, *splits, n_blocks(outputs))
    for first, last in pairwise(edges):
        _multiply(isa, matrix.fields, x, records, out, first, last)
    return out


def quantized(x: Floats) -> NDArray[np.float64]:
    """What the integer products take x (M, K) for: multiples of max |x| / 127 in groups of 32."""
    rows, columns = x.shape
    groups = np.pad(x, ((0, 0), (0, -columns % GROUP))).reshape(rows, -1, GROUP)
    scale = np.abs(groups).max(-1, keepdims=True) / np.float32(127)
    inverse = np.float32(1) / np.where(scale > 0, scale, np.float32(1))
    whole = np.rint(groups * inverse).astype(np.float64) * scale
    columns_kept: NDArray[np.float64] = whole.reshape(rows, -1)[:, :columns]
    return columns_kept


@dataclass(frozen=True)
class Expected:
    """A product in float64, and how far float32 may be from it."""

    values: NDArray[np.float64]  # (M, N)
    bounds: NDArray[np.float64]  # (M, N)


def expected(x: Floats, weights: QuantizedTensor | Floats) -> Expected:
    """The product that the kernels should give.

    Each of K terms is rounded a few times and then added up in a chain of at most 2K sums; so the
    error is below (2K + 8) * 2**-24 times the sum of all magnitudes (Higham 2002, section 3.1).
    """
    if isinstance(weights, QuantizedTensor):
        x64, group = quantized(x), weights.group
        scale = np.repeat(weights.scale.astype(np.float64), group, axis=1)
        scaled = weights.q * scale
        offset = np.zeros_like(scaled)
        if weights.offset is not None:
            offset = np.repeat(weights.offset.astype(np.float64), group, axis=1)
        values, sizes = scaled + offset, np.abs(scaled) + np.abs(offset)
    else:
        x64, values = x.astype(np.float64), weights.astype(np.float64)
        sizes = np.abs(values)
    bounds = (2 * x.shape[1] + 8) * _EPS * (np.abs(x64) @ sizes.T)
    return Expected(x64 @ values.T, bounds)


def _weights() -> dict[str, QuantizedTensor | Floats]:
    """One matrix for each kind of product that differs between instruction sets, and floats."""
    rng = np.random.default_rng(0)
    shape, groups = (_OUTPUTS, _COLUMNS), (_OUTPUTS, _COLUMNS // GROUP)
    scale = rng.uniform(0.5, 1.5, groups).astype(np.float32)
    offset = rng.uniform(-1.0, 1.0, groups).astype(np.float32)
    small = rng.integers(0, 16, shape).astype(np.uint8)
    large = rng.integers(-127, 128, shape).astype(np.int8)
    small[0], large[0] = 15, 127  # the largest sums that there can be
    return {
        "4-bit weights": QuantizedTensor(small, scale, offset, 4, GROUP, "int4"),
        "8-bit weights": QuantizedTensor(large, scale[:, :1], None, 8, _COLUMNS, "int8"),
        "float32 weights": rng.standard_normal(shape).astype(np.float32),
    }


def failure(isa: Isa) -> str | None:
    """What the kernels get wrong with this instruction set, or None: nothing."""
    x = np.random.default_rng(1).standard_normal((_ROWS, _COLUMNS)).astype(np.float32)
    x[0] = 1.0
    for name, weights in _weights().items():
        packed, right = pack(isa, weights), expected(x, weights)
        together = product(isa, x, packed)
        if not np.all(np.abs(together - right.values) <= right.bounds):
            return f"{name} gave a product that differs from NumPy's"
        alone = np.concatenate([product(isa, row, packed, (1,)) for row in x[:, None]])
        if not np.array_equal(alone, together):
            return f"{name} gave other bits for single rows than for several together"
    return None
