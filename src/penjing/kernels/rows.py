"""Single rows of a packed matrix as floats: an embedding layer reads the head that it shares."""

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.kernels.layout import (
    COLUMNS,
    FLOAT16,
    FLOAT32,
    GROUP_SIZE,
    HALF_SCALES,
    KIND,
    NIBBLE_PANEL,
    NIBBLES,
    OFFSETS,
    PANEL,
    PANELS,
    VALUES,
    ZERO,
)
from penjing.kernels.memory import (
    load,
    load_bfloats,
    load_halves,
    read_byte,
    read_float,
    write_float,
)
from penjing.kernels.packing import group_address
from penjing.kernels.vector import LANES, lane


@inlined
def _read_floats(matrix, block, row, out):
    kind, columns = matrix[KIND], matrix[COLUMNS]
    values = matrix[VALUES] + block * columns * (64 if kind == FLOAT32 else 32)
    for k in range(columns):
        if kind == FLOAT32:
            number = read_float(values + 64 * k + 4 * row)
        elif kind == FLOAT16:
            number = lane(load_halves(values + 32 * k), row)
        else:
            number = lane(load_bfloats(values + 32 * k), row)
        write_float(out + 4 * k, number)


@inlined
def _factor(matrix, place, row, group):
    """One of the scales or offsets, which lie at `place` in each group or pair."""
    if matrix[HALF_SCALES] != 0:
        return lane(load_halves(group_address(matrix, row, group, 32) + place), row % LANES)
    return lane(load(group_address(matrix, row, group, 64) + place), row % LANES)


@inlined
def _integer(kind, values, row, k):
    """The unsigned integer of column k of a group."""
    if kind == NIBBLES:
        place = k // PANEL * NIBBLE_PANEL + k % 16 // 4 * 64 + row * 4 + k % 4
        return np.int64(read_byte(values + place)) >> (k % PANEL // 16 * 4) & 15
    return np.int64(read_byte(values + k // 4 * 64 + row * 4 + k % 4))


@part
def read_row(matrix, row, out):
    """One row of a matrix, its K weights as float32, to the address `out`."""
    kind, columns, size = matrix[KIND], matrix[COLUMNS], matrix[GROUP_SIZE]
    if kind >= FLOAT32:
        _read_floats(matrix, row // LANES, row % LANES, out)
        return
    size_in_bytes = size * LANES // (2 if kind == NIBBLES else 1)
    for group in range((columns + size - 1) // size):
        scale, offset = _factor(matrix, 0, row, group), np.float32(0)
        if matrix[OFFSETS] != 0:
            offset = _factor(matrix, matrix[OFFSETS], row, group)
        values = group_address(matrix, row, group, size_in_bytes) + matrix[PANELS]
        for k in range(min(size, columns - group * size)):
            integer = np.float32(_integer(kind, values, row % LANES, k) - matrix[ZERO])
            write_float(out + 4 * (group * size + k), integer * scale + offset)
