"""Schemes: in how many bits a matrix is kept, and which of its weights share a scale.

    int8          symmetric: w = s q, q in -127..127, s = max|w| / 127
    uint8         asymmetric: w = s (q - z), q in 0..255, s = (max - min) / 255, z = round(-min / s)
    int4          symmetric, q in -8..7; int4-asym: asymmetric, q in 0..15

Each of them per channel (a row of the matrix), "-tensor" for one scale in all, "-g32", "-g64" and
"-g128" for one scale a group of neighbouring columns; and "-mse" behind it all for ranges that are
chosen for the least squared error (Jacob et al. 2018; Krishnamoorthi 2018; Nagel et al. 2021).
"w8a8" is int8 with inputs that are rounded to int8 as they come, each token with a scale of its
own; "w4a8-g32", "-g64", "-g128" are int4 in groups with the same.
"""

from dataclasses import dataclass, replace
from typing import Literal

from penjing.core.errors import ConfigError
from penjing.core.table import Table, suggest

Granularity = Literal["tensor", "channel", "group"]
Clipping = Literal["none", "mse"]
GROUPS = (32, 64, 128)


@dataclass(frozen=True)
class Scheme:
    """How one matrix is quantized; the words of a name.

    Eight bits leave -128 unused, so that the range is the same on both sides. Four bits cannot
    spare one level of 16: they use -8, as compressed-tensors, vLLM and GGUF store it.
    """

    name: str
    bits: int
    symmetric: bool
    granularity: Granularity = "channel"
    group: int = 0  # columns that share a scale, with the granularity "group"
    clipping: Clipping = "none"
    activations: Literal["int8"] | None = None  # inputs, each token with a scale of its own

    @property
    def levels(self) -> tuple[int, int]:
        """The lowest and the highest q."""
        if not self.symmetric:
            return 0, 2**self.bits - 1
        highest = 2 ** (self.bits - 1) - 1
        return (-highest if self.bits == 8 else -highest - 1), highest

    def group_for(self, columns: int, name: str = "The matrix") -> int:
        """How many neighbouring columns share a scale in a matrix of so many.

        Raises:
            ConfigError: groups of this size do not fill a row.
        """
        if self.granularity != "group":
            return columns
        if columns % self.group:
            fitting = [f"-g{size}" for size in GROUPS if columns % size == 0]
            raise ConfigError(
                f"{name} has {columns} columns: they cannot be cut into groups of {self.group}. "
                f"Choose {' or '.join((*fitting, 'no group (a scale for each channel)'))}."
            )
        return self.group

    @property
    def described(self) -> str:
        """The scheme in words: "int4 symmetric, groups of 64"."""
        kind = f"{'int' if self.symmetric else 'uint'}{self.bits} "
        kind += "symmetric" if self.symmetric else "asymmetric"
        shared = {"tensor": "per tensor", "channel": "per channel"}
        words = [kind, shared.get(self.granularity, f"groups of {self.group}")]
        words += ["clipped for the least squared error"] if self.clipping == "mse" else []
        words += ["activations int8 per token"] if self.activations else []
        return ", ".join(words)

    def bits_per_weight(self, rows: int, columns: int, *, scale_bits: int = 16) -> float:
        """What a weight costs, with its share of the scales and the zero points."""
        tensor = self.granularity == "tensor"
        groups = 1 if tensor else rows * (columns // self.group_for(columns))
        each = scale_bits + (0 if self.symmetric else self.bits)
        return self.bits + groups * each / (rows * columns)


def _named() -> dict[str, Scheme]:
    kinds = {"int8": (8, True), "uint8": (8, False), "int4": (4, True), "int4-asym": (4, False)}
    table = {}
    for kind, (bits, symmetric) in kinds.items():
        table[kind] = Scheme(kind, bits, symmetric)
        table[f"{kind}-tensor"] = Scheme(f"{kind}-tensor", bits, symmetric, "tensor")
        for size in GROUPS:
            table[f"{kind}-g{size}"] = Scheme(f"{kind}-g{size}", bits, symmetric, "group", size)
    for plain, rounded in (("int8", "w8a8"), *((f"int4-g{g}", f"w4a8-g{g}") for g in GROUPS)):
        table[rounded] = replace(table[plain], name=rounded, activations="int8")
    return table


SCHEMES: Table[Scheme] = Table("quantization scheme", _named())


def parse_scheme(name: str) -> Scheme:
    """The scheme of a name such as "int4-g64" or "int4-g64-mse".

    Raises:
        ConfigError: there is none of that name; the message says which was meant.
    """
    plain = name.strip().lower()
    base = plain.removesuffix("-mse")
    if base not in SCHEMES:
        raise ConfigError(
            f"Unknown quantization scheme {name!r}.{suggest(base, list(SCHEMES))} "
            'Behind each of them "-mse" chooses ranges with the least squared error.'
        )
    scheme = SCHEMES[base]
    return replace(scheme, name=plain, clipping="mse") if plain != base else scheme
