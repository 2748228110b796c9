"""How functions are compiled: when they are first called, by Numba, for this very processor.

An `entry` is called from Python, a `part` from compiled functions, and an `inlined` part is melted
into them. The machine code of an entry, with all that it calls, is kept on disk beside the package,
or in the user's cache where the package cannot be written to. It is found again for arguments of
the same types, on the same processor, by the same Numba, until one of its sources changes.

Numba takes a second to load: modules with compiled functions are imported where they are needed.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numba
from llvmlite import binding
from numba import extending, types
from numba.core import caching, ccallback, runtime
from numba.core.errors import NumbaError

from penjing.compiling import notice
from penjing.compiling.sources import fingerprint

Function = Callable[..., Any]

_numba: Any = numba
_extending: Any = extending
_caching: Any = caching
_ccallback: Any = ccallback
_runtime: Any = runtime
_OPTIONS = {"nogil": True, "error_model": "numpy"}  # without Python's lock; x / 0 is no exception
_PART_OPTIONS = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_LASTING: list[Any] = []  # code that is known by its address must never go

# What compiling raises; RuntimeError and OSError are LLVM's, and the disk's that keeps the code.
COMPILING_FAILED = (NumbaError, RuntimeError, OSError)

notice.install()


class _Cache(_caching.FunctionCache):  # type: ignore[misc]
    """What was compiled, on disk. Files that were cut off count as missing, and are replaced."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = fingerprint(function.__code__.co_filename)

    def load_overload(self, signature: Any, target: Any) -> Any:
        # Numba's own would first load all that it knows of Python and NumPy, and compile helpers:
        # a third of a second and 40 MB, for what only compiling needs.
        _name_helpers()
        try:
            with self._guard_against_spurious_io_errors():
                return self._load_overload(signature, target)
        except (EOFError, UnpicklingError):
            self.flush()
        return None


@cache
def _name_helpers() -> None:
    """Tell LLVM where Numba's functions in C are that machine code calls: to allocate, to free."""
    for name, address in _runtime._nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _kept(compiled: Any, function: Function) -> Any:
    """The same, with its code kept on disk."""
    with suppress(RuntimeError, OSError):  # no place for it, or no source: compile in each process
        compiled._cache = _Cache(function)
    return compiled


def intrinsic(function: Function) -> Any:
    """A function that writes LLVM's instructions, for compiled functions to call."""
    return _extending.intrinsic(function)


def inlined(function: Function) -> Any:
    """A part of larger functions, melted into each of them."""
    return _numba.njit(forceinline=True, **_PART_OPTIONS)(function)


def part(function: Function) -> Any:
    """A part of larger functions that is a function of its own in machine code."""
    return _numba.njit(**_PART_OPTIONS)(function)


def entry(function: Function) -> Any:
    """A function that Python calls; it lets go of Python's lock while it runs."""
    return _kept(_numba.njit(**_OPTIONS)(function), function)


def c_function(function: Function, *first: object, integers: int, asked: bool = False) -> int:
    """Compile function(*first, ...) of so many integers besides; returns its address.

    `asked` says whether it returns an integer or nothing. It must be a function of a module, not
    one made in another function: only then is it found again on disk.
    """
    arguments = (*map(_numba.typeof, first), *[types.int64] * integers)
    signature = arguments, types.int64 if asked else types.void
    compiled = _kept(_ccallback.CFunc(function, signature, locals={}, options=_OPTIONS), function)
    compiled.compile()
    _LASTING.append(compiled)
    address: int = compiled.address
    return address


def cache_folder(function: Any) -> Path | None:
    """Where an entry's code is kept on disk; None where it cannot be."""
    folder = function.stats.cache_path
    return Path(folder) if folder else None
