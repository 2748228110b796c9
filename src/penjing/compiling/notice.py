"""Who waits is told what for: some code is compiled when it is first used on a machine."""

import sys
import warnings
from typing import Any

from numba.core import event

_event: Any = event
_Listener: Any = _event.Listener

# What the compiled code of a package is to people, and how long it takes to compile.
_CODE = {
    "kernels": ("The CPU kernels are", "up to half a minute"),
    "tokenizer": ("The tokenizers' fast code is", "some seconds"),
    "data": ("The data doctor's fast code is", "some seconds"),
}
_NOT_THE_CALLER = {"contextlib", "functools", "numba", "penjing"}


class CompilingWarning(UserWarning):
    """Code is being compiled, which takes a while; nothing is wrong."""


class _Notice(_Listener):  # type: ignore[misc]
    """Warns when Numba finds code of ours not on disk: once in a process for each package."""

    def __init__(self) -> None:
        self._said = set[str]()

    def on_start(self, event: Any) -> None:
        top, _, below = event.data["dispatcher"].py_func.__module__.partition(".")
        package = below.partition(".")[0]
        if top == "penjing" and package not in self._said:
            self._said.add(package)
            code, time = _CODE[package]
            message = f"{code} being compiled for this processor. This takes {time}, once."
            warnings.warn(message, CompilingWarning, stacklevel=_callers_level())

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


def warn_of_failure(code: str, error: Exception, without: str) -> None:
    """Say that some code cannot be compiled on this machine, why, and what it is like without."""
    cause = str(error).strip().partition("\n")[0]
    message = f"{code} cannot be compiled here ({cause}); {without}."
    warnings.warn(message, RuntimeWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """How many calls up, for `warnings.warn`, the line is that wanted the code."""
    frame, level = sys._getframe(1), 1
    while frame.f_globals["__name__"].partition(".")[0] in _NOT_THE_CALLER and frame.f_back:
        frame, level = frame.f_back, level + 1
    return level


def install() -> None:
    """Have it said from now on."""
    _event.register("numba:compile", _Notice())
