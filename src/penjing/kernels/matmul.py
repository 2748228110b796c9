"""Activations times weights: out[m, n] = sum over k of x[m, k] * w[n, k], for blocks of outputs.

An output's bits do not depend on how many rows or blocks are computed together, nor on which thread
computes them. There is a compiled function for each kind of weights, made when the first matrix of
that kind is packed; the matrix's description holds its address. So one compiled forward pass serves
any mixture of kinds, and is not compiled anew for them.
"""

from functools import cache
from typing import Any

import numpy as np

from penjing.compiling.functions import c_function, inlined
from penjing.kernels import layout
from penjing.kernels.activations import RECORD
from penjing.kernels.calling import call
from penjing.kernels.features import Isa
from penjing.kernels.layout import (
    COLUMNS,
    FLOAT32,
    KIND,
    PANEL,
    PRODUCT,
    ROWS,
)
from penjing.kernels.memory import (
    load_block_bfloats,
    load_block_floats,
    load_block_halves,
    store_grid,
)
from penjing.kernels.tiles import (
    ONE,
    field,
    fine_tile,
    float_tile,
    grouped_tile,
    many,
    n_blocks,
    n_rows,
)
from penjing.kernels.vector import LANES


def _product(tile: Any) -> Any:
    """The product of rows with the blocks [first, last), tile by tile."""

    @inlined
    def in_tiles(isa, shape, matrix, x, x_stride, rows, out, out_stride, first, last):
        # The blocks of a tile lie far apart: memory is read faster in several places at once. A few
        # may be taken twice, with the same result.
        n = last - first
        apart = n // n_blocks(shape)
        steps = n - (n_blocks(shape) - 1) * apart
        for block in range(first, first + steps):
            count = field(matrix, ROWS) - (block + (n_blocks(shape) - 1) * apart) * LANES
            for start in range(0, rows, n_rows(shape)):
                row = min(start, rows - n_rows(shape))  # the last tile may overlap another
                result = tile(isa, shape, matrix, block, apart, x + row * x_stride, x_stride)
                target = out + row * out_stride + 4 * LANES * block
                store_grid(target, result, out_stride, 4 * LANES * apart, count)

    @inlined
    def product(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
        if rows >= n_rows(many(isa)):
            in_tiles(isa, many(isa), matrix, x, x_stride, rows, out, out_stride, first, last)
        else:
            in_tiles(isa, ONE, matrix, x, x_stride, rows, out, out_stride, first, last)

    return product


_nibbles, _bytes, _fine_bytes = map(_product, (grouped_tile(4), grouped_tile(8), fine_tile))
_floats = _product(float_tile(load_block_floats, 64))
_halves = _product(float_tile(load_block_halves, 32))
_bfloats = _product(float_tile(load_block_bfloats, 32))

# The cache finds functions of a module alone, hence one by name for each kind.


def _times_nibbles(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _nibbles(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


def _times_bytes(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _bytes(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


def _times_fine_bytes(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _fine_bytes(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


def _times_floats(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _floats(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


def _times_halves(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _halves(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


def _times_bfloats(isa, matrix, x, x_stride, rows, out, out_stride, first, last):
    _bfloats(isa, matrix, x, x_stride, rows, out, out_stride, first, last)


_PRODUCTS = {
    layout.NIBBLES: _times_nibbles,
    layout.BYTES: _times_bytes,
    layout.FINE_BYTES: _times_fine_bytes,
    layout.FLOAT32: _times_floats,
    layout.FLOAT16: _times_halves,
    layout.BFLOAT16: _times_bfloats,
}
_N_ARGUMENTS = 8  # of these functions, beside the Isa


@cache
def product_address(isa: Isa, kind: int) -> int:
    """The address of the compiled product with matrices of a kind."""
    return c_function(_PRODUCTS[kind], isa, integers=_N_ARGUMENTS)


@inlined
def multiply(matrix, x, x_stride, records, rows, out, out_stride, first, last):
    """Outputs of blocks [first, last) of 16 for each of `rows` rows: out[m, n] = x[m] . w[n].

    `matrix` is a PackedMatrix's fields. `x`: address of the rows as floats; `records`: of the same,
    quantized (quantize_rows), row_bytes(K) apart; only the one that the matrix needs is read.
    `out`: address of output [0, 0]. Strides are in bytes, from one row to the next. Nothing beyond
    the matrix's N outputs is written.
    """
    if matrix[KIND] < FLOAT32:
        x, x_stride = records, (matrix[COLUMNS] + PANEL - 1) // PANEL * RECORD
    fields = np.int64(matrix.ctypes.data)
    arguments = (fields, np.int64(x), x_stride, rows, np.int64(out), out_stride, first, last)
    call(matrix[PRODUCT], arguments)
