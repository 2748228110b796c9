"""Which kernels are used in this process: the fastest that pass the self-test."""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from penjing.kernels import selftest
from penjing.kernels.features import OFF, VARIABLE, Isa, candidates, isa


@dataclass(frozen=True)
class Support:
    """The way that was chosen, and why."""

    path: str  # avx512, avxvnni, avx2, vector or off
    reason: str  # for people, a clause

    @property
    def isa(self) -> Isa:
        """The first argument of compiled functions. There is none when the kernels are off."""
        if self.path == OFF:
            raise LookupError("the kernels are off")
        return isa(self.path)


def _failure(way: str) -> str | None:
    """Why a way doesn't work here, or None. What has passed is not tested again: a mark lies with
    the compiled code, for these sources, this compiler and this processor."""
    mark = selftest.passed_mark(isa(way))
    if mark is not None and mark.exists():
        return None
    try:
        failed = selftest.failure(isa(way))
    except Exception as error:  # whatever it is, they don't work here
        return f"compiling failed: {str(error).strip().splitlines()[0]}"
    if failed is None and mark is not None:
        with suppress(OSError):  # then it is tested again the next time
            mark.touch()
    return failed


@cache
def support() -> Support:
    """The fastest kernels that this machine has and that compute rightly; "off" if none do.

    The very first call on a machine compiles and tests, for seconds, and a warning says so.

    Raises:
        ConfigError: PENJING_KERNELS names no way, or one that this processor has not.
    """
    ways = candidates()
    if not ways:
        return Support(OFF, f"{VARIABLE}={OFF}")
    failures: list[str] = []
    for way in ways:
        failed = _failure(way)
        if failed is None:
            reason = "the fastest that this processor has" if not failures else "; ".join(failures)
            return Support(way, reason)
        failures.append(f"{way}: {failed}")
        warnings.warn(f"The {way} kernels don't work here ({failed}).", RuntimeWarning, 2)
    warnings.warn(
        f"No CPU kernels work here, PyTorch computes instead, slower. {VARIABLE}={OFF} "
        "says so from the start, without this warning.",
        RuntimeWarning,
        stacklevel=2,
    )
    return Support(OFF, "; ".join(failures))
