"""Words that several threads read and write: intrinsics on addresses of 64-bit integers.

All are sequentially consistent: what one thread wrote before an atomic operation is seen by any
that reads its result. For compiled functions only: Python itself cannot call them.
"""

import os
import platform
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from penjing.compiling.functions import intrinsic
from penjing.kernels.vector import call

WORD = ir.IntType(64)
_PAUSE: dict[str, tuple[str, tuple[int, ...]]] = {  # machine -> LLVM's intrinsic, its arguments
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "amd64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)),
    "arm64": ("llvm.aarch64.hint", (1,)),
}
# What gives the processor to another thread that waits for it, by name, where there is one.
_YIELD = "sched_yield" if hasattr(os, "sched_yield") else None


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, WORD.as_pointer())


@intrinsic
def load(_typing: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    """load(address) -> the word there."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, args[0]), "seq_cst", 8)

    return types.int64(types.int64), generate


@intrinsic
def store(_typing: Any, _address: Any, _value: Any) -> tuple[Any, Callable[..., Any]]:
    """store(address, value)."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _pointer(builder, args[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def add(_typing: Any, _address: Any, _value: Any) -> tuple[Any, Callable[..., Any]]:
    """add(address, value) -> the word as it was before."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, args[0]), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def exchange_if(
    _typing: Any, _address: Any, _expected: Any, _value: Any
) -> tuple[Any, Callable[..., Any]]:
    """exchange_if(address, expected, value) -> whether it was `expected`; then it is `value`."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = _pointer(builder, args[0])
        pair = builder.cmpxchg(pointer, args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def pause(_typing: Any) -> tuple[Any, Callable[..., Any]]:
    """pause(): tell the core that this thread waits; some tens of cycles."""

    def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if platform.machine().lower() in _PAUSE:
            name, numbers = _PAUSE[platform.machine().lower()]
            words = [ir.Constant(ir.IntType(32), number) for number in numbers]
            call(builder, name, ir.VoidType(), *words)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def give_way(_typing: Any) -> tuple[Any, Callable[..., Any]]:
    """give_way(): let another thread have this core; where the system has no such call, nothing."""

    def generate(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if _YIELD is not None:
            call(builder, _YIELD, ir.IntType(32))
        return context.get_dummy_value()

    return types.void(), generate
