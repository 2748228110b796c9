"""Tuples that lie in memory, for compiled functions to take up by their address.

Numba takes a tuple of numbers and arrays apart whenever Python passes it. What stays the same from
call to call is laid out once instead, and the call has nothing but integers.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import extending, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.registry import cpu_target

from penjing.compiling.functions import c_function, entry, intrinsic

_numba: Any = numba
_extending: Any = extending
_cgutils: Any = cgutils


class Kept:
    """A tuple of numbers, arrays and such tuples, which stays as it is; at `address`, laid out.

    As an argument of a compiled function it only says what lies there: it has no value.
    """

    def __init__(self, value: tuple[Any, ...]) -> None:
        self.value, self.type = value, _numba.typeof(value)
        context = cpu_target.target_context
        size = context.get_abi_sizeof(context.get_value_type(self.type))
        self.memory = np.zeros(size, np.uint8)
        self.address = int(self.memory.ctypes.data)
        _lay_out(value, self.address)


class KeptType(types.Type):
    """What a `Kept` is to Numba: the type of its tuple."""

    def __init__(self, of: Any) -> None:
        self.of = of
        super().__init__(name=f"Kept({of})")


register_default(KeptType)(models.OpaqueModel)


def _typeof_kept(kept: Kept, _context: Any) -> KeptType:
    return KeptType(kept.type)


_extending.typeof_impl.register(Kept)(_typeof_kept)


def _pointer(context: Any, builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, context.get_value_type(kind).as_pointer())


def _borrowed(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The same without owners of arrays: Numba counts no references to them then."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = _cgutils.get_null_value(array.meminfo.type)
        array.parent = _cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        members: Any = kind
        for i, member in enumerate(members):
            part = _borrowed(context, builder, member, builder.extract_value(value, i))
            value = builder.insert_value(value, part, i)
    return value


@intrinsic
def _write(_typing: Any, value: Any, _address: Any) -> Any:
    """write(tuple, address)."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        borrowed = _borrowed(context, builder, value, args[0])
        store = builder.store(borrowed, _pointer(context, builder, args[1], value))
        store.align = 1
        return context.get_dummy_value()

    return types.void(value, types.int64), generate


@intrinsic
def recall(_typing: Any, kept: Any, _address: Any) -> Any:
    """recall(kept, address): the tuple that lies there."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = builder.load(_pointer(context, builder, args[1], kept.of))
        value.align = 1
        return _borrowed(context, builder, kept.of, value)  # now LLVM sees it too

    return kept.of(kept, types.int64), generate


@entry
def _lay_out(value, address):
    _write(value, address)


def python_function(function: Callable[..., None], kept: Kept, n_integers: int) -> Any:
    """function(kept, address, ...) of so many integers besides, compiled, to be called with these.

    Python's lock is let go meanwhile.
    """
    integers = [ctypes.c_int64] * (1 + n_integers)
    place = c_function(function, kept, integers=len(integers))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *integers)(place)
    return lambda *arguments: call(None, kept.address, *arguments)
