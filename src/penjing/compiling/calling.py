"""Calls from compiled functions to others that are compiled by themselves (`c_function`).

So the caller is compiled once, whatever it calls, and what it calls when it is first needed.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from penjing.compiling.functions import intrinsic

_cgutils: Any = cgutils
_types: Any = types


def build_call(builder: Any, address: Any, values: Any, result: Any) -> Any:
    """The instruction that calls the function at an address; `result` is LLVM's type of what it
    returns."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(builder.inttoptr(address, kind.as_pointer()), values)


@intrinsic
def ask(_typing: Any, address: Any, arguments: Any) -> Any:
    """ask(address, (integers, ...)): the integer that the function there returns."""
    if not isinstance(arguments, types.UniTuple):
        return None

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return build_call(builder, args[0], _cgutils.unpack_tuple(builder, args[1]), ir.IntType(64))

    return types.int64(types.int64, _types.UniTuple(types.int64, arguments.count)), generate
