"""Tiles of a product: some rows of activations times some blocks of outputs, all in registers.

There is one for each kind of weights, compiled for each shape:

    tile(isa, shape, matrix, block, apart, x, x_stride) -> floats (rows, blocks)

`matrix` is the address of a matrix's fields; `block` the first block; `apart` how many blocks on
the next one lies (0: the first one again); `x` the first row, quantized or not, as the kind needs.

Each output is one sum in one fixed order, the same in every shape and on every instruction set:
columns in order, in groups that share a scale.
"""

from collections.abc import Callable
from typing import Any

from numba import types

from penjing.compiling.functions import inlined, intrinsic
from penjing.kernels.activations import (
    HALF_SHIFTS,
    RECORD,
    SCALE,
    SCALED_HALF_SUMS,
    SCALED_SUM,
    SHIFT,
)
from penjing.kernels.dot import dot, dot_small
from penjing.kernels.layout import (
    BLOCK,
    BYTE_PANEL,
    COLUMNS,
    GROUP_SIZE,
    HALF_SCALES,
    OFFSETS,
    PAIRED,
    PANEL,
    PANELS,
    STEP,
    VALUES,
    ZERO,
)
from penjing.kernels.memory import (
    load_block_floats,
    load_block_halves,
    load_block_ints,
    load_row_floats,
    load_row_ints,
    read_word,
)
from penjing.kernels.vector import (
    LANES,
    Shape,
    ShapeType,
    fma,
    int_zeros,
    row_zeros,
    to_floats,
    zeros,
)

ENOUGH = 4  # sums that go on side by side: with fewer, each would wait for itself
ONE = Shape(1, 2)
_MANY = {"avx512": Shape(4, 2)}  # as many as there are registers for
_MANY_ELSEWHERE = Shape(2, 1)


@intrinsic
def many(_typing: Any, isa: Any) -> Any:
    """many(isa): the shape of a tile that makes the most of what is loaded, a constant."""
    shape = _MANY.get(isa.way, _MANY_ELSEWHERE)

    def generate(context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        return context.get_dummy_value()

    return ShapeType(shape.rows, shape.blocks)(isa), generate


def _size(count: Callable[[ShapeType], int]) -> Any:
    @intrinsic
    def size(_typing: Any, shape: Any) -> Any:
        def generate(context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
            return context.get_constant(types.int64, count(shape))

        return types.int64(shape), generate

    return size


# Of a shape, as constants.
n_rows = _size(lambda shape: shape.rows)
n_blocks = _size(lambda shape: shape.blocks)
n_vectors = _size(lambda shape: shape.rows * shape.blocks)


@inlined
def field(matrix, index):
    """A field of the description at the address `matrix`."""
    return read_word(matrix + 8 * index)


@inlined
def nibble_panel(isa, shape, products, values, stride, x, x_stride):
    """Add a panel's products: integers (rows, blocks). A small tile's go two ways at a time."""
    others = int_zeros(shape)
    for j in range(4):
        both = load_block_ints(shape, values + 64 * j, stride)
        low = load_row_ints(shape, x + 4 * j, x_stride)
        high = load_row_ints(shape, x + 16 + 4 * j, x_stride)
        products = dot_small(isa, products, both & 0x0F0F0F0F, low)
        if n_vectors(shape) < ENOUGH:
            others = dot_small(isa, others, (both >> 4) & 0x0F0F0F0F, high)
        else:
            products = dot_small(isa, products, (both >> 4) & 0x0F0F0F0F, high)
    return products + others


@inlined
def byte_panel(isa, shape, products, values, stride, x, x_stride):
    """The same of a panel of bytes."""
    others = int_zeros(shape)
    for j in range(4):
        first = load_block_ints(shape, values + 64 * j, stride)
        last = load_block_ints(shape, values + 256 + 64 * j, stride)
        products = dot(isa, products, first, load_row_ints(shape, x + 4 * j, x_stride))
        x_last = load_row_ints(shape, x + 16 + 4 * j, x_stride)
        if n_vectors(shape) < ENOUGH:
            others = dot(isa, others, last, x_last)
        else:
            products = dot(isa, products, last, x_last)
    return products + others


@inlined
def half_panel(isa, shape, products, values, stride, x, x_stride):
    """The same of half a panel of bytes."""
    for j in range(4):
        weights = load_block_ints(shape, values + 64 * j, stride)
        products = dot(isa, products, weights, load_row_ints(shape, x + 4 * j, x_stride))
    return products


@inlined
def _start(shape, zero, bits, shifts, x_stride):
    """What the sums of products begin with: integers (rows, blocks).

    Where 8 was added to signed weights of 4 bits, or 128 to those of 8, it is taken off again.
    """
    start = int_zeros(shape)
    if zero != 0:
        shift = load_row_ints(shape, shifts, x_stride)
        start = start + (shift if bits == 4 else shift << 4)
    return start


@inlined
def _factors(shape, address, halves, stride):
    """The scales or offsets of a group, floats (1, blocks)."""
    if halves != 0:
        return load_block_halves(shape, address, stride)
    return load_block_floats(shape, address, stride)


@inlined
def _group(matrix, begin, number):
    """Group `number` of the block at `begin`: where it or its pair begins, and which of the two."""
    paired = field(matrix, PAIRED)
    return begin + (number >> paired) * field(matrix, STEP), number & paired


@inlined
def _add_group(shape, result, group, sums, matrix, begin, which, apart):
    """result + scale * group + offset * sums."""
    halves, offsets = field(matrix, HALF_SCALES), field(matrix, OFFSETS)
    begin += which * (32 if halves != 0 else 64)
    result = fma(group, _factors(shape, begin, halves, apart), result)
    if offsets != 0:
        result = fma(sums, _factors(shape, begin + offsets, halves, apart), result)
    return result


def grouped_tile(bits: int) -> Any:
    """Of integers of 4 or 8 bits whose groups are whole panels."""
    panel = nibble_panel if bits == 4 else byte_panel
    size = LANES * PANEL * bits // 8

    @inlined
    def tile(isa, shape, matrix, block, apart, x, x_stride):
        zero, width = field(matrix, ZERO), field(matrix, GROUP_SIZE)
        n_groups = (field(matrix, COLUMNS) + width - 1) // width
        stride, group_bytes = field(matrix, BLOCK), width // PANEL * size
        begin = field(matrix, VALUES) + block * stride
        stride *= apart
        result = zeros(shape)
        for number in range(n_groups):
            at, which = _group(matrix, begin, number)
            values = at + field(matrix, PANELS) + which * group_bytes
            group, sums = zeros(shape), row_zeros(shape)
            for place in range(values, values + group_bytes, size):
                products = _start(shape, zero, bits, x + SHIFT, x_stride)
                products = to_floats(panel(isa, shape, products, place, stride, x, x_stride))
                group = fma(products, load_row_floats(shape, x + SCALE, x_stride), group)
                sums = sums + load_row_floats(shape, x + SCALED_SUM, x_stride)
                x += RECORD
            result = _add_group(shape, result, group, sums, matrix, at, which, stride)
        return result

    return tile


@inlined
def fine_tile(isa, shape, matrix, block, apart, x, x_stride):
    """Of bytes whose groups are half panels."""
    zero, n_groups = field(matrix, ZERO), (field(matrix, COLUMNS) + PANEL - 1) // PANEL * 2
    stride = field(matrix, BLOCK)
    begin = field(matrix, VALUES) + block * stride
    stride *= apart
    result = zeros(shape)
    for number in range(n_groups):
        at, which = _group(matrix, begin, number)
        record, half = x + number // 2 * RECORD, number % 2
        q = record + 16 * half
        products = _start(shape, zero, 8, record + HALF_SHIFTS + 4 * half, x_stride)
        values = at + field(matrix, PANELS) + which * (BYTE_PANEL // 2)
        products = half_panel(isa, shape, products, values, stride, q, x_stride)
        group = to_floats(products) * load_row_floats(shape, record + SCALE, x_stride)
        sums = load_row_floats(shape, record + SCALED_HALF_SUMS + 4 * half, x_stride)
        result = _add_group(shape, result, group, sums, matrix, at, which, stride)
    return result


def float_tile(load_weights: Any, size: int) -> Any:
    """Of floats, `size` bytes for 16 of them."""

    @inlined
    def tile(_isa, shape, matrix, block, apart, x, x_stride):
        columns = field(matrix, COLUMNS)
        weights = field(matrix, VALUES) + block * field(matrix, BLOCK)
        stride = apart * field(matrix, BLOCK)
        result = zeros(shape)
        for _column in range(columns):
            loaded = load_weights(shape, weights, stride)
            result = fma(loaded, load_row_floats(shape, x, x_stride), result)
            weights += size
            x += 4
        return result

    return tile
