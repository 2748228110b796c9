"""Compiled: asking the processor to fetch memory that will be read soon."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types

_extending: Any = extending
_NAME = "llvm.prefetch.p0"


@_extending.intrinsic  # type: ignore[untyped-decorator]
def fetch_ahead(_typing: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    """fetch_ahead(address): the cache line there will be read and written soon."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.globals.get(_NAME) or ir.Function(builder.module, form, _NAME)
        write, soon, data = number(1), number(3), number(1)
        builder.call(function, [builder.inttoptr(args[0], byte), write, soon, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate
