"""Calls from compiled functions to others that are compiled by themselves (`compiling.c_function`).

So a pass is compiled once, whatever kinds of weights and caches there are, and each kind when it is
first met.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from penjing.compiling.calling import build_call
from penjing.compiling.functions import intrinsic

_cgutils: Any = cgutils
_types: Any = types


@intrinsic
def call(_typing: Any, address: Any, arguments: Any) -> Any:
    """call(address, (integers, ...)): the function that lies there.

    Its first argument, an Isa, is left out: it has no value.
    """
    if not isinstance(arguments, types.UniTuple):
        return None

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        isa, words = context.get_dummy_value(), _cgutils.unpack_tuple(builder, args[1])
        build_call(builder, args[0], [isa, *words], ir.VoidType())
        return context.get_dummy_value()

    words_type = _types.UniTuple(types.int64, arguments.count)
    return types.void(types.int64, words_type), generate
