"""How the functions here are compiled: by Numba, when first called, and kept on disk.

What is kept is found again by its name and a fingerprint of all modules beside its own and beside
this one: a change in one of them, which another one melts into its code, is never overlooked.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numba
from numba.core import caching
from numba.core.errors import NumbaError

Function = Callable[..., Any]

_numba: Any = numba
_caching: Any = caching
_OPTIONS = {"nogil": True, "error_model": "numpy"}

# What compiling raises; RuntimeError and OSError are LLVM's, and the disk's that keeps the code.
COMPILING_FAILED = (NumbaError, RuntimeError, OSError)


class _Cache(_caching.FunctionCache):  # type: ignore[misc]
    """What was compiled, on disk. Files that were cut off count as missing, and are replaced."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _sources(Path(function.__code__.co_filename).parent)

    def load_overload(self, *arguments: Any) -> Any:
        try:
            return super().load_overload(*arguments)
        except (EOFError, UnpicklingError):
            self.flush()
            return None


@cache
def _sources(package: Path) -> str:
    digest = hashlib.sha256()
    for folder in sorted({package, Path(__file__).parent}):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def inlined(function: Function) -> Any:
    """A part of larger functions, melted into each of them."""
    options = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return _numba.njit(forceinline=True, **options)(function)


def part(function: Function) -> Any:
    """A part of larger functions that is a function of its own in machine code."""
    options = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return _numba.njit(**options)(function)


def entry(function: Function) -> Any:
    """A function that Python calls; it lets go of Python's lock while it runs."""
    compiled = _numba.njit(**_OPTIONS)(function)
    with suppress(RuntimeError):  # no folder for it can be written to: compile in each process
        compiled._cache = _Cache(function)
    return compiled
