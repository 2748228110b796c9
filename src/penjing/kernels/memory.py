"""Vectors and numbers to and from memory: addresses are integers, in bytes; nothing checks them.

Loads of a shape (rows, blocks) read at `address + row * stride`, or `+ block * stride`.
For compiled functions only.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from penjing.compiling.functions import intrinsic
from penjing.kernels.vector import (
    FLOATS,
    INTS,
    LANES,
    ShapeType,
    Vector,
    build,
    call,
    constant,
    lanes_type,
    pick,
    spread,
)

_cgutils: Any = cgutils
_WORD = ir.IntType(64)
_INDEX = ir.IntType(32)
_HALVES = ir.VectorType(ir.HalfType(), LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_FLOAT_LANES = lanes_type("float32")
_INT_LANES = lanes_type("int32")

Emit = Callable[[Any, Any, Any], Any]  # (context, builder, address) -> a vector


def _read(builder: Any, address: Any, kind: Any) -> Any:
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def _write(builder: Any, address: Any, value: Any) -> None:
    store = builder.store(value, builder.inttoptr(address, value.type.as_pointer()))
    store.align = 1


def _from_half(context: Any, builder: Any, address: Any) -> Any:
    """In one instruction, or in integer arithmetic where the processor has none; the same bits."""
    machine, _cpu, features = context.codegen().magic_tuple()
    if "+f16c" in features.split(",") or machine.startswith(("aarch64", "arm64")):
        return builder.fpext(_read(builder, address, _HALVES), _FLOAT_LANES)
    bits = builder.zext(_read(builder, address, _SHORTS), _INT_LANES)
    magnitude = builder.shl(builder.and_(bits, constant("int32", 0x7FFF)), constant("int32", 13))
    # From the exponent's bias of 15 to that of 127; this also makes subnormal halves normal.
    rebiased = builder.fmul(builder.bitcast(magnitude, _FLOAT_LANES), constant("float32", 2.0**112))
    is_finite = builder.icmp_unsigned("<", magnitude, constant("int32", 0x7C00 << 13))
    not_finite = builder.or_(magnitude, constant("int32", 0x7F800000))
    magnitude = builder.select(is_finite, builder.bitcast(rebiased, _INT_LANES), not_finite)
    sign = builder.shl(builder.and_(bits, constant("int32", 0x8000)), constant("int32", 16))
    return builder.bitcast(builder.or_(magnitude, sign), _FLOAT_LANES)


def _from_bfloat(_context: Any, builder: Any, address: Any) -> Any:
    bits = builder.zext(_read(builder, address, _SHORTS), _INT_LANES)
    return builder.bitcast(builder.shl(bits, constant("int32", 16)), _FLOAT_LANES)


def _from_float(_context: Any, builder: Any, address: Any) -> Any:
    return _read(builder, address, _FLOAT_LANES)


def _from_int(_context: Any, builder: Any, address: Any) -> Any:
    return _read(builder, address, _INT_LANES)


def _spread_float(_context: Any, builder: Any, address: Any) -> Any:
    return spread(builder, _read(builder, address, ir.FloatType()))


def _spread_int(_context: Any, builder: Any, address: Any) -> Any:
    return spread(builder, _read(builder, address, _INDEX))


def _loader(emit: Emit) -> Any:
    """load(address) -> vector."""

    @intrinsic
    def load(_typing: Any, _address: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return emit(context, builder, args[0])

        return FLOATS(types.int64), generate

    return load


def _grid_loader(element: str, emit: Emit, along: str) -> Any:
    """load(shape, address, stride) -> grid (rows, 1) or (1, blocks)."""

    @intrinsic
    def load(_typing: Any, shape: Any, _address: Any, _stride: Any) -> Any:
        if not isinstance(shape, ShapeType):
            return None
        result = Vector(element, **{along: getattr(shape, along)})

        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            def part(row: int, block: int) -> Any:
                step = builder.mul(args[2], _WORD(row + block))
                return emit(context, builder, builder.add(args[1], step))

            return build(builder, result, part)

        return result(shape, types.int64, types.int64), generate

    return load


# One vector of 16 floats that lie side by side; halves and bfloats become float32.
load = _loader(_from_float)
load_halves = _loader(_from_half)
load_bfloats = _loader(_from_bfloat)
# One such vector for each block of a shape.
load_block_floats = _grid_loader("float32", _from_float, "blocks")
load_block_halves = _grid_loader("float32", _from_half, "blocks")
load_block_bfloats = _grid_loader("float32", _from_bfloat, "blocks")
load_block_ints = _grid_loader("int32", _from_int, "blocks")
# One number, copied into all lanes, for each row of a shape.
load_row_floats = _grid_loader("float32", _spread_float, "rows")
load_row_ints = _grid_loader("int32", _spread_int, "rows")


@intrinsic
def store(_typing: Any, _address: Any, vector: Any) -> Any:
    """store(address, vector): 16 floats or integers."""
    if vector not in (FLOATS, INTS):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _write(builder, args[0], args[1])
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


@intrinsic
def store_bytes(_typing: Any, _address: Any, vector: Any) -> Any:
    """store_bytes(address, integers): the low byte of each lane, 16 bytes."""
    if vector != INTS:
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _write(builder, args[0], builder.trunc(args[1], _BYTES))
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


def _scalar_reader(kind: Any, result: Any) -> Any:
    @intrinsic
    def read(_typing: Any, _address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _read(builder, args[0], kind)

        return result(types.int64), generate

    return read


def _scalar_writer(kind: Any) -> Any:
    @intrinsic
    def write(_typing: Any, _address: Any, _number: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            _write(builder, args[0], args[1])
            return context.get_dummy_value()

        return types.void(types.int64, kind), generate

    return write


# One number.
read_float = _scalar_reader(ir.FloatType(), types.float32)
read_int = _scalar_reader(_INDEX, types.int32)
read_word = _scalar_reader(_WORD, types.int64)
read_byte = _scalar_reader(ir.IntType(8), types.uint8)
write_float = _scalar_writer(types.float32)
write_int = _scalar_writer(types.int32)


@intrinsic
def write_bits(_typing: Any, _address: Any, number: Any) -> Any:
    """write_bits(address, number): an integer of any width."""
    if not isinstance(number, types.Integer):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _write(builder, args[0], args[1])
        return context.get_dummy_value()

    return types.void(types.int64, number), generate


@intrinsic
def store_grid(
    _typing: Any, _address: Any, grid: Any, _stride: Any, _distance: Any, _count: Any
) -> Any:
    """store_grid(address, grid, stride, distance, count): floats, row after row.

    Rows lie `stride` bytes apart, blocks `distance`. Of the last block only the first `count`
    numbers are written; a distance of 0 says that all blocks are that one.
    """
    if not (isinstance(grid, Vector) and grid.is_float):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        address, value, stride, distance, count = args
        last = grid.blocks - 1

        def place(row: int, block: int) -> Any:
            along = builder.add(address, builder.mul(stride, _WORD(row)))
            return builder.add(along, builder.mul(distance, _WORD(block)))

        def write_blocks(blocks: range) -> None:
            for row in range(grid.rows):
                for block in blocks:
                    _write(builder, place(row, block), pick(builder, grid, value, row, block))

        with builder.if_else(builder.icmp_signed(">=", count, _WORD(LANES))) as (whole, part):
            with whole:
                write_blocks(range(grid.blocks))
            with part:
                with builder.if_then(builder.icmp_signed("!=", distance, _WORD(0))):
                    write_blocks(range(last))
                numbers = ir.ArrayType(ir.FloatType(), LANES).as_pointer()
                for row in range(grid.rows):
                    copy = _cgutils.alloca_once_value(
                        builder, pick(builder, grid, value, row, last)
                    )
                    copy = builder.bitcast(copy, numbers)
                    with _cgutils.for_range(builder, count) as loop:
                        number = _cgutils.gep_inbounds(builder, copy, 0, loop.index)
                        offset = builder.mul(loop.index, _WORD(4))
                        _write(builder, builder.add(place(row, last), offset), builder.load(number))
        return context.get_dummy_value()

    signature = types.void(types.int64, grid, types.int64, types.int64, types.int64)
    return signature, generate


@intrinsic
def prefetch(_typing: Any, _address: Any) -> Any:
    """prefetch(address): the cache line there will be read soon, and once."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        read, locality, data = _INDEX(0), _INDEX(2), _INDEX(1)
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, locality, data)
        return context.get_dummy_value()

    return types.void(types.int64), generate
