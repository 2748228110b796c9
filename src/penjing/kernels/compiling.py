"""How kernels are compiled: when they are first called, by Numba, for this very processor.

An `entry` is called from Python. Its machine code, with all that it calls, is kept on disk beside
the package, or in the user's cache where the package cannot be written to. What an entry's first
argument, the `Isa`, says is part of the key: how integers are multiplied, and the sources of all
kernels. The processor's features and Numba's version are part of it too.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba import extending, types

from penjing.kernels.features import Isa

Function = Callable[..., Any]

_numba: Any = numba
_extending: Any = extending
_OPTIONS = {"nogil": True, "error_model": "numpy"}
_PART_OPTIONS = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def intrinsic(function: Function) -> Any:
    """A function that writes LLVM's instructions, for compiled functions to call."""
    return _extending.intrinsic(function)


def inlined(function: Function) -> Any:
    """A part of larger kernels, melted into each of them."""
    return _numba.njit(forceinline=True, **_PART_OPTIONS)(function)


def part(function: Function) -> Any:
    """A part of larger kernels that is a function of its own in machine code."""
    return _numba.njit(inline="never", **_PART_OPTIONS)(function)


def entry(function: Function) -> Any:
    """A kernel that Python calls; its first argument must be an `Isa`."""
    try:
        return _numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder for the cache can be written to: compile in each process
        return _numba.njit(**_OPTIONS)(function)


def c_function(function: Function, isa: Isa, n_arguments: int) -> Any:
    """Compile function(isa, ...) of so many integers besides; `address` is where it lies.

    It must be a function of a module, not one made in another function: only then is it found again
    in the cache. What is returned must be kept: the code goes with it.
    """
    signature = types.void(_numba.typeof(isa), *[types.int64] * n_arguments)
    try:
        return _numba.cfunc(signature, cache=True, **_OPTIONS)(function)
    except RuntimeError:
        return _numba.cfunc(signature, **_OPTIONS)(function)
