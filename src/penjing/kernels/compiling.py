"""How kernels are compiled: when they are first called, by Numba, for this very processor.

An `entry` is called from Python. Its machine code, with all that it calls, is kept on disk beside
the package, or in the user's cache where the package cannot be written to. What an entry's first
argument, the `Isa`, says is part of the key: how integers are multiplied, and the sources of all
kernels. The processor's features and Numba's version are part of it too.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numba
from numba import extending, types
from numba.core import caching, event
from numba.core.errors import NumbaError

from penjing.kernels.features import Isa

Function = Callable[..., Any]

_numba: Any = numba
_extending: Any = extending
_event: Any = event
_caching: Any = caching
_Listener: Any = _event.Listener
_OPTIONS = {"nogil": True, "error_model": "numpy"}
_PART_OPTIONS = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


# What compiling raises; RuntimeError and OSError are LLVM's, and the disk's that keeps the code.
COMPILING_FAILED = (NumbaError, RuntimeError, OSError)


_CUT_OFF = (EOFError, UnpicklingError)


class CompilingWarning(UserWarning):
    """Kernels are being compiled, which takes a while; nothing is wrong."""


class _Notice(_Listener):  # type: ignore[misc]
    """Says once in a process that kernels are being compiled, when Numba finds none on disk."""

    said = False

    def on_start(self, event: Any) -> None:
        module: str = event.data["dispatcher"].py_func.__module__
        if not self.said and module.startswith(f"{__package__}."):
            self.said = True
            warnings.warn(
                "The CPU kernels are being compiled for this processor. This takes up to half a "
                "minute, and is done once.",
                CompilingWarning,
                stacklevel=2,
            )

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


_event.register("numba:compile", _Notice())


class _Cache(_caching.FunctionCache):  # type: ignore[misc]
    """What was compiled, on disk. Files that were cut off count as missing, and are replaced."""

    def load_overload(self, *arguments: Any) -> Any:
        try:
            return super().load_overload(*arguments)
        except _CUT_OFF:
            self.flush()
            return None


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
    compiled = _numba.njit(**_OPTIONS)(function)
    with suppress(RuntimeError):  # no folder for it can be written to: compile in each process
        compiled._cache = _Cache(function)
    return compiled


def cache_folder(function: Any) -> Path | None:
    """Where an entry's code is kept on disk; None where it cannot be."""
    folder = function.stats.cache_path
    return Path(folder) if folder else None


def prepare(function: Any, *arguments: Any) -> None:
    """Compile an entry for arguments of these types, or find it on disk, without a call."""
    function.compile(tuple(map(_numba.typeof, arguments)))


def c_function(function: Function, isa: Isa, n_arguments: int) -> Any:
    """Compile function(isa, ...) of so many integers besides; `address` is where it lies.

    It must be a function of a module, not one made in another function: only then is it found again
    in the cache. What is returned must be kept: the code goes with it.
    """
    signature = types.void(_numba.typeof(isa), *[types.int64] * n_arguments)
    for _ in range(2):
        try:
            return _numba.cfunc(signature, cache=True, **_OPTIONS)(function)
        except _CUT_OFF:
            _Cache(function).flush()
        except RuntimeError:
            break
    return _numba.cfunc(signature, **_OPTIONS)(function)
