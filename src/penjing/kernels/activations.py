"""Activations as small integers: x = scale * q, one scale for 32 numbers that lie side by side.

So llama.cpp does (its Q8_1), and so the product of two matrices is one of integers. A group of 32
takes one cache line: its integers, and what the product needs of them besides.

    byte 0   32 x int8   q, -127..127
    byte 32  float32     scale = max |x| / 127
    byte 36  int32       -8 times the sum of all q
    byte 40  float32     scale times that sum
    byte 48  2 x int32   -8 times the sums of the first and of the last 16
    byte 56  2 x float32 scale times those sums
"""

import numpy as np

from penjing.compiling.functions import inlined
from penjing.kernels.memory import (
    load,
    read_float,
    store_bytes,
    write_float,
    write_int,
)
from penjing.kernels.vector import (
    as_floats,
    as_ints,
    lane,
    larger,
    largest_int,
    set_lane,
    splat,
    total_int,
)

GROUP = 32  # numbers that share a scale
RECORD = 64  # bytes of such a group
SCALE, SHIFT, SCALED_SUM, HALF_SHIFTS, SCALED_HALF_SUMS = 32, 36, 40, 48, 56

_MAGNITUDE = 0x7FFFFFFF  # all bits of a float but its sign
_INFINITY = 0x7F800000  # the bits of infinity; those of a NaN are more
_SMALLEST = np.float32(2.0**-126)  # scales below this count as zero: 1 / scale would be infinite
_ROUNDER = 12582912.0  # 1.5 * 2**23: added to a small float, its last bits are the nearest integer
_ROUNDER_BITS = 0x4B400000


def row_bytes(columns: int) -> int:
    """Bytes that a quantized row of so many numbers takes."""
    return -(-columns // GROUP) * RECORD


@inlined
def load_part(address, count):
    """The first `count` of 16 floats, zeros in the other lanes; nothing else is read."""
    if count >= 16:
        return load(address)
    values = splat(0.0)
    for i in range(count):
        values = set_lane(values, i, read_float(address + 4 * i))
    return values


@inlined
def _to_integers(values, inverse):
    """The nearest integers of values * inverse, halves to even."""
    return as_ints(values * inverse + _ROUNDER) - _ROUNDER_BITS


@inlined
def _quantize_group(x, count, record):
    """`count` floats at `x`, at most 32, into a record. What is not finite makes its scale NaN."""
    first, last = load_part(x, count), load_part(x + 64, count - 16)
    largest = largest_int(larger(as_ints(first) & _MAGNITUDE, as_ints(last) & _MAGNITUDE))
    scale = lane(as_floats(splat(largest)), 0) / np.float32(127)
    inverse = np.float32(0)
    if largest >= _INFINITY:
        scale = np.float32(np.nan)
    elif scale < _SMALLEST:
        scale = np.float32(0)
    else:
        inverse = np.float32(1) / scale
    q_first, q_last = _to_integers(first, inverse), _to_integers(last, inverse)
    sum_first, sum_last = total_int(q_first), total_int(q_last)
    store_bytes(record, q_first)
    store_bytes(record + 16, q_last)
    write_float(record + SCALE, scale)
    write_int(record + SHIFT, -8 * (sum_first + sum_last))
    write_float(record + SCALED_SUM, scale * np.float32(sum_first + sum_last))
    write_int(record + HALF_SHIFTS, -8 * sum_first)
    write_int(record + HALF_SHIFTS + 4, -8 * sum_last)
    write_float(record + SCALED_HALF_SUMS, scale * np.float32(sum_first))
    write_float(record + SCALED_HALF_SUMS + 4, scale * np.float32(sum_last))


@inlined
def quantize_row(x, columns, records):
    """`columns` floats at the address `x` into `row_bytes(columns)` bytes at `records`.

    Zeros fill the last record. A NaN or an infinity among 32 numbers makes all products NaN.
    """
    for group in range((columns + GROUP - 1) // GROUP):
        count = min(columns - group * GROUP, GROUP)
        _quantize_group(x + group * GROUP * 4, count, records + group * RECORD)


@inlined
def quantize_rows(x, x_stride, rows, columns, records):
    """Quantize `rows` rows, `x_stride` bytes apart, into records without gaps between them."""
    size = (columns + GROUP - 1) // GROUP * RECORD
    for row in range(rows):
        quantize_row(x + row * x_stride, columns, records + row * size)
