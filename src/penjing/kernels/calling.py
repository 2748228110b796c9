"""Calls from compiled functions to others that are compiled by themselves (`compiling.c_function`).

So a pass is compiled once, whatever kinds of weights and caches there are, and each kind when it is
first met.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from penjing.kernels.compiling import intrinsic

_cgutils: Any = cgutils
_types: Any = types
_WORD = ir.IntType(64)


@intrinsic
def call(_typing: Any, address: Any, arguments: Any) -> Any:
    """call(address, (integers, ...)): the function that lies there.

    Its first argument, an Isa, is left out: it has no value.
    """
    if not isinstance(arguments, types.UniTuple):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        isa, words = context.get_dummy_value(), _cgutils.unpack_tuple(builder, args[1])
        kind = ir.FunctionType(ir.VoidType(), [isa.type, *[_WORD] * len(words)])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [isa, *words])
        return context.get_dummy_value()

    words_type = _types.UniTuple(types.int64, arguments.count)
    return types.void(types.int64, words_type), generate
