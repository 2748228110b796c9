"""Weight matrices, packed for the kernels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import PenjingError
from penjing.kernels import layout
from penjing.kernels.features import Isa
from penjing.kernels.layout import HALF, N_FIELDS, PANEL
from penjing.kernels.matmul import product_address
from penjing.kernels.packing import interleave, pack_bytes, pack_factors, pack_nibbles
from penjing.kernels.pages import LINE, Bytes, aligned
from penjing.kernels.vector import LANES
from penjing.quantization.tensor import QuantizedTensor

_FLOAT_KINDS = {
    "float32": layout.FLOAT32,
    "float16": layout.FLOAT16,
    "uint16": layout.BFLOAT16,
}


@dataclass(frozen=True)
class PackedMatrix:
    """A weight matrix (N, K), packed. Compiled functions get `fields`, a row of integers."""

    fields: NDArray[np.int64]  # (N_FIELDS,)
    buffers: tuple[NDArray[np.generic], ...] = field(repr=False)  # what the addresses point into

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return int(self.fields[layout.ROWS]), int(self.fields[layout.COLUMNS])

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return sum(buffer.nbytes for buffer in self.buffers)


Take = Callable[[int], Bytes]


def pack(
    isa: Isa, weights: QuantizedTensor | NDArray[np.generic], take: Take = aligned
) -> PackedMatrix:
    """Pack a matrix (N, K): quantized, float32, float16, or bfloat16 given as its bits in uint16.

    take: gives so many bytes of zeros, from a cache line on.

    Raises:
        PenjingError: the kind of number or the size of the groups is none that the kernels know.
    """
    if isinstance(weights, QuantizedTensor):
        return _pack_integers(isa, weights, take)
    return _pack_floats(isa, weights, take)


def n_blocks(rows: int) -> int:
    """Blocks of 16 rows that a matrix of so many rows has."""
    return -(-rows // LANES)


def _describe(memory: NDArray[np.generic], **fields: int) -> PackedMatrix:
    described = np.zeros(N_FIELDS, np.int64)
    for name, value in fields.items():
        described[getattr(layout, name.upper())] = value
    return PackedMatrix(described, (memory,))


def _pack_floats(isa: Isa, weights: NDArray[np.generic], take: Take) -> PackedMatrix:
    kind = _FLOAT_KINDS.get(weights.dtype.name)
    if kind is None:
        known = ", ".join(_FLOAT_KINDS)
        raise PenjingError(f"The kernels have no weights of {weights.dtype.name}, only {known}.")
    values = _interleave(isa, weights, take)
    return _describe(
        values,
        kind=kind,
        product=product_address(isa, kind),
        rows=weights.shape[0],
        columns=weights.shape[1],
        values=values.ctypes.data,
        block=LANES * weights.shape[1] * values.itemsize,
    )


def _interleave(isa: Isa, numbers: NDArray[np.generic], take: Take) -> NDArray[np.generic]:
    """(N, K) -> (blocks, K, 16): the 16 rows of a block side by side, zeros below the last row."""
    rows, columns = numbers.shape
    bits = np.ascontiguousarray(numbers).view(f"uint{8 * numbers.dtype.itemsize}")
    packed = take(n_blocks(rows) * LANES * columns * bits.itemsize).view(bits.dtype)
    interleave(isa, bits, packed.reshape(-1, columns, LANES))
    return packed


def _pack_integers(isa: Isa, weights: QuantizedTensor, take: Take) -> PackedMatrix:
    rows, columns = weights.shape
    scale, offset, group = _regroup(weights)
    n_groups = scale.shape[1]
    small = weights.bits <= 4 and group != HALF
    factors = [scale] if offset is None else [scale, offset]
    integer_bytes = LANES * group // (2 if small else 1)
    halves = all(np.array_equal(f.astype(np.float16).astype(np.float32), f) for f in factors)
    if halves:  # an odd group leaves half a pair empty, which can cost more than halves spare
        whole, half = (_steps(integer_bytes, n_groups, n * len(factors)) for n in (4, 2))
        halves = half.n_bytes <= whole.n_bytes
    factor_bytes = LANES * (2 if halves else 4)
    step, paired, block_bytes = _steps(
        integer_bytes, n_groups, factor_bytes // LANES * len(factors)
    )
    header = len(factors) * factor_bytes << paired
    values = take(n_blocks(rows) * block_bytes)
    kind = layout.NIBBLES if small else layout.FINE_BYTES if group == HALF else layout.BYTES
    packed = _describe(
        values,
        kind=kind,
        rows=rows,
        columns=columns,
        values=values.ctypes.data,
        block=block_bytes,
        product=product_address(isa, kind),
        zero=(8 if small else 128) if weights.q.dtype == np.int8 else 0,  # all become unsigned
        group_size=group,
        paired=paired,
        step=step,
        offsets=0 if offset is None else factor_bytes << paired,
        panels=header,
        half_scales=int(halves),
    )
    _pack_values(isa, weights.q, n_groups, packed.fields)
    for factor, place in zip(factors, (0, factor_bytes << paired), strict=False):
        bits = factor.astype(np.float16).view(np.uint16) if halves else factor.view(np.uint32)
        pack_factors(isa, bits, packed.fields, place)
    return packed


class _Steps(NamedTuple):
    """How the groups of a block follow each other."""

    step: int  # bytes from one group to the next, or from one pair to the next
    paired: int
    n_bytes: int  # of a block


def _steps(integer_bytes: int, n_groups: int, factor_bytes: int) -> _Steps:
    """`integer_bytes` of a group, `factor_bytes` of scale and offset of one of its rows."""
    step = integer_bytes + LANES * factor_bytes
    paired = int(step % LINE > 0)
    return _Steps(step << paired, paired, (n_groups + paired >> paired) * step << paired)


def _pack_values(
    isa: Isa, q: NDArray[np.int8] | NDArray[np.uint8], n_groups: int, fields: NDArray[np.int64]
) -> None:
    rows, columns = q.shape
    group = int(fields[layout.GROUP_SIZE])
    padding = n_groups * group - columns
    bits = np.ascontiguousarray(np.pad(q, ((0, 0), (0, padding))) if padding else q)
    if fields[layout.KIND] == layout.NIBBLES:
        units = group // PANEL
        pack_nibbles(isa, bits.ctypes.data, rows, n_groups, units, fields, fields[layout.ZERO])
    else:
        units = group // 4
        pack_bytes(isa, bits.ctypes.data, rows, n_groups, units, fields, fields[layout.ZERO])


def _regroup(
    weights: QuantizedTensor,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, int]:
    """Scales, offsets and columns in a group: 16, or a multiple of 32."""
    columns, group = weights.shape[1], weights.group
    if group == columns:
        return weights.scale, weights.offset, -(-columns // PANEL) * PANEL
    if group % PANEL == 0 and columns % group == 0:
        return weights.scale, weights.offset, group
    if group % HALF or columns % group:
        raise PenjingError(
            f"A matrix of {columns} columns is quantized in groups of {group}. The kernels take "
            "groups of a multiple of 16 columns that divides the row, or one group for a row."
        )

    def in_halves(factors: NDArray[np.float32]) -> NDArray[np.float32]:
        repeated = np.repeat(factors, group // HALF, axis=1)
        return np.pad(repeated, ((0, 0), (0, repeated.shape[1] % 2)))

    offset = None if weights.offset is None else in_halves(weights.offset)
    return in_halves(weights.scale), offset, HALF
