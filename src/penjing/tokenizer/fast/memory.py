"""Memory by address: reading, writing, a word's hash, and whether two words are the same.

Compiled functions count the users of each array that they hand on, which costs more than all else
here; addresses are plain integers. Whoever hands them out must keep the arrays.

Up to seven bytes behind a word are read: PADDING bytes must follow it. Little-endian.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from penjing.compiling.functions import inlined

PADDING = 8

_extending: Any = extending
_cgutils: Any = cgutils
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_HALF, _64 = np.uint64(32), np.uint64(64)


def _reader(stored: Any, result: Any) -> Any:
    @_extending.intrinsic  # type: ignore[untyped-decorator]
    def read(_typing: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            found = builder.load(builder.inttoptr(args[0], stored.as_pointer()), align=1)
            wide = stored.width == result.bitwidth
            return found if wide else builder.zext(found, ir.IntType(result.bitwidth))

        return result(types.int64), generate

    return read


def _writer(stored: Any) -> Any:
    @_extending.intrinsic  # type: ignore[untyped-decorator]
    def write(_typing: Any, _address: Any, integer: Any) -> Any:
        width = getattr(integer, "bitwidth", None)
        if width is None:
            return None

        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            value = args[1] if stored.width == width else builder.trunc(args[1], stored)
            builder.store(value, builder.inttoptr(args[0], stored.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, integer), generate

    return write


# The integer at an address: of 8, 16, 32 bits; of 64 bits, with a sign and without.
byte = _reader(ir.IntType(8), types.int64)
pair = _reader(ir.IntType(16), types.int64)
quad = _reader(ir.IntType(32), types.int64)
number = _reader(ir.IntType(64), types.int64)
load = _reader(ir.IntType(64), types.uint64)
# write(address, integer): its lowest bits.
write_quad = _writer(ir.IntType(32))
write = _writer(ir.IntType(64))


@_extending.intrinsic  # type: ignore[untyped-decorator]
def smallest(_typing: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    """smallest(address) -> the smallest of the 16 unsigned integers of 32 bits there."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), 16)
        numbers = builder.load(builder.inttoptr(args[0], vector.as_pointer()), align=4)
        kind = ir.FunctionType(ir.IntType(32), [vector])
        name = "llvm.vector.reduce.umin.v16i32"
        reduce = _cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.zext(builder.call(reduce, [numbers]), ir.IntType(64))

    return types.int64(types.int64), generate


@_extending.intrinsic  # type: ignore[untyped-decorator]
def copy_16(_typing: Any, _source: Any, _target: Any) -> tuple[Any, Callable[..., Any]]:
    """copy_16(source, target): 16 bytes."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(32), 4).as_pointer()
        source, target = (builder.inttoptr(address, vector) for address in args)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_extending.intrinsic  # type: ignore[untyped-decorator]
def prefetch(_typing: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    """prefetch(address): the cache line there will be read soon."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        number, bytes_at = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [bytes_at, number, number, number])
        call = _cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data = number(0), number(3), number(1)
        builder.call(call, [builder.inttoptr(args[0], bytes_at), read, keep, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@inlined
def address(array):
    """Where an array lies. It must be kept as long as that is used."""
    return np.int64(array.ctypes.data)


@inlined
def load_part(at, count):
    """The first `count` (1 to 8) of those bytes, and zeros."""
    return load(at) & (_ALL >> (_64 - (np.uint64(count) << np.uint64(3))))


@inlined
def hash_of(word, length):
    """64 well-mixed bits of `length` bytes, at least one."""
    mixed = np.uint64(length)
    while length > 8:
        mixed = (mixed ^ load(word)) * _MULTIPLIER
        mixed ^= mixed >> _HALF
        word += 8
        length -= 8
    mixed = (mixed ^ load_part(word, length)) * _MULTIPLIER
    mixed = (mixed ^ (mixed >> _HALF)) * _MULTIPLIER
    return mixed ^ (mixed >> _HALF)


@inlined
def same(one, other, length):
    """Whether `length` bytes, at least one, at two addresses are the same."""
    while length > 8:
        if load(one) != load(other):
            return False
        one += 8
        other += 8
        length -= 8
    return load_part(one, length) == load_part(other, length)
