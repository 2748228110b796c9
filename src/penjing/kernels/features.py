"""What the processor can do, and which of the ways to multiply is taken.

Only one operation differs between the ways (dot.py): the product of 8-bit integers. All else is
LLVM's to fit to the processor.

    avx512   AVX512-VNNI: 64 products in one instruction
    avxvnni  AVX-VNNI: the same with 32, on processors without AVX512
    avx2     32 products in three to six instructions
    vector   plain vectors, any processor: ARM too
    off      no kernels: PyTorch computes

PENJING_KERNELS=off|vector|avx2|avxvnni|avx512 forces one.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from numba import extending, types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.registry import cpu_target

from penjing.core.errors import ConfigError

_extending: Any = extending
VARIABLE = "PENJING_KERNELS"
OFF = "off"
# What each way needs, fastest first.
_NEEDS = {
    "avx512": {"avx512f", "avx512bw", "avx512vnni"},
    "avxvnni": {"avx2", "avxvnni"},
    "avx2": {"avx2"},
    "vector": set[str](),
}
WAYS = tuple(_NEEDS)


@dataclass(frozen=True)
class Isa:
    """The instruction set that compiled functions use: their first argument, and part of its type.

    So each way has compiled code of its own, in memory and on disk.
    """

    way: str


class IsaType(types.Type):
    """What an `Isa` is to Numba: a type of its own, without a value."""

    def __init__(self, way: str) -> None:
        self.way = way
        super().__init__(name=f"Isa({way})")


register_default(IsaType)(models.OpaqueModel)


def _typeof_isa(isa: Isa, _context: Any) -> IsaType:
    return IsaType(isa.way)


def _unbox_isa(_type: Any, _object: Any, context: Any) -> Any:
    return _extending.NativeValue(context.context.get_dummy_value())


_extending.typeof_impl.register(Isa)(_typeof_isa)
_extending.unbox(IsaType)(_unbox_isa)


def isa(way: str) -> Isa:
    """The argument that makes compiled functions take this way."""
    return Isa(way)


@cache
def features() -> frozenset[str]:
    """What LLVM compiles for here: names such as "avx2". NUMBA_CPU_FEATURES may take some away."""
    _machine, _cpu, listed = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in listed.split(",") if name.startswith("+"))


@cache
def processor() -> str:
    """A fingerprint of the processor that LLVM compiles for."""
    return hashlib.sha256(
        repr(cpu_target.target_context.codegen().magic_tuple()).encode()
    ).hexdigest()[:16]


def available() -> list[str]:
    """The ways that this processor can take, fastest first."""
    return [way for way in WAYS if _NEEDS[way] <= features()]


def candidates() -> list[str]:
    """The ways to try, best first: all that are available, or the one that PENJING_KERNELS names.

    Raises:
        ConfigError: PENJING_KERNELS names no way, or one that this processor has not.
    """
    forced = os.environ.get(VARIABLE, "").strip().lower()
    if not forced:
        return available()
    if forced == OFF:
        return []
    if forced not in WAYS:
        names = ", ".join((OFF, *reversed(WAYS)))
        raise ConfigError(f"{VARIABLE}={forced} is none of {names}. Set one of them, or unset it.")
    if forced not in available():
        raise ConfigError(
            f"{VARIABLE}={forced}, but this processor can do {', '.join(available())} only. "
            "Set one of them, or unset it."
        )
    return [forced]
