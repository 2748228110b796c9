"""What attention needs of vectors beyond arithmetic: parts of them, halves, and columns.

For compiled functions only. Addresses are integers, in bytes; nothing checks them.
"""

from typing import Any

from llvmlite import ir
from numba import types

from penjing.compiling.functions import intrinsic
from penjing.kernels.features import features
from penjing.kernels.vector import (
    FLOATS,
    INTS,
    LANES,
    Vector,
    constant,
    lanes_type,
    pick,
    spread,
)

LARGEST_HALF = 65504.0
_HALVES = ir.VectorType(ir.HalfType(), LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_NUMBERS = ir.Constant(lanes_type("int32"), list(range(LANES)))


@intrinsic
def first(_typing: Any, vector: Any, _count: Any, _other: Any) -> Any:
    """first(vector, count, other): the first `count` lanes of the vector, `other` in the rest."""
    if vector != FLOATS:
        return None

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        count = spread(builder, builder.trunc(args[1], ir.IntType(32)))
        inside = builder.icmp_signed("<", _NUMBERS, count)
        return builder.select(inside, args[0], spread(builder, args[2]))

    return FLOATS(vector, types.int64, types.float32), generate


@intrinsic
def lane_numbers(_typing: Any) -> Any:
    """lane_numbers(): 0, 1, ... 15, as integers."""

    def generate(_context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        return _NUMBERS

    return INTS(), generate


def converts_halves(context: Any) -> bool:
    """Whether the processor turns float32 into float16 by itself."""
    machine: str = context.codegen().magic_tuple()[0]
    return "f16c" in features() or machine.startswith(("aarch64", "arm64"))


def to_halves(context: Any, builder: Any, floats: Any) -> Any:
    """float32 -> float16, to the nearest, ties to even; what is too large becomes the largest."""
    limit = constant("float32", LARGEST_HALF)
    for test, bound in (("<", limit), (">", constant("float32", -LARGEST_HALF))):
        inside = builder.fcmp_unordered(test, floats, bound)  # a NaN stays
        floats = builder.select(inside, floats, bound)
    if converts_halves(context):
        return builder.fptrunc(floats, _HALVES)
    return builder.bitcast(_round_to_half(builder, floats), _HALVES)


def _round_to_half(builder: Any, floats: Any) -> Any:
    """The same by arithmetic on bits, for processors that cannot."""
    ints = lanes_type("int32")

    def number(value: int) -> Any:
        return constant("int32", value)

    bits = builder.bitcast(floats, ints)
    sign = builder.and_(builder.lshr(bits, number(16)), number(0x8000))
    magnitude = builder.and_(bits, number(0x7FFFFFFF))
    # Small ones: adding 0.5 shifts the last bit of a half to the last bit of the sum.
    small = builder.fadd(
        builder.bitcast(magnitude, lanes_type("float32")), constant("float32", 0.5)
    )
    small = builder.sub(builder.bitcast(small, ints), number(0x3F000000))
    # Others: another bias of the exponent, then half a step up, and one more bit if that is odd.
    odd = builder.and_(builder.lshr(magnitude, number(13)), number(1))
    other = builder.add(builder.sub(magnitude, number((127 - 15) << 23)), number(0xFFF))
    other = builder.lshr(builder.add(other, odd), number(13))
    half = builder.select(builder.icmp_unsigned("<", magnitude, number(113 << 23)), small, other)
    no_number = builder.icmp_unsigned(">", magnitude, number(0x7F800000))
    half = builder.select(no_number, number(0x7E00), half)
    return builder.trunc(builder.or_(half, sign), _SHORTS)


def _store(address: Any, builder: Any, value: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer())).align = 1


@intrinsic
def store_halves(_typing: Any, _address: Any, vector: Any) -> Any:
    """store_halves(address, vector): 16 floats as float16."""
    if vector != FLOATS:
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _store(args[0], builder, to_halves(context, builder, args[1]))
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


@intrinsic
def store_rows(_typing: Any, _address: Any, grid: Any, _stride: Any) -> Any:
    """store_rows(address, grid, stride): rows `stride` bytes apart, their blocks side by side."""
    if not (isinstance(grid, Vector) and grid.is_float):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        for row in range(grid.rows):
            for block in range(grid.blocks):
                along = builder.add(builder.mul(args[2], word(row)), word(4 * LANES * block))
                one = pick(builder, grid, args[1], row, block)
                _store(builder.add(args[0], along), builder, one)
        return context.get_dummy_value()

    return types.void(types.int64, grid, types.int64), generate


def _column(half: bool) -> Any:
    @intrinsic
    def store(_typing: Any, _address: Any, vector: Any, _stride: Any) -> Any:
        if vector != FLOATS:
            return None

        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            address, value, stride = args
            if half:  # as integers: their lanes can be taken apart on every processor
                value = builder.bitcast(to_halves(context, builder, value), _SHORTS)
            for lane in range(LANES):
                one = builder.extract_element(value, ir.Constant(ir.IntType(32), lane))
                _store(address, builder, one)
                address = builder.add(address, stride)
            return context.get_dummy_value()

        return types.void(types.int64, vector, types.int64), generate

    return store


# store_column(address, vector, stride): its lanes one under another, `stride` bytes apart.
store_column_halves, store_column_floats = _column(True), _column(False)
