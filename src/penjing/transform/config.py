"""How a model is quantized and measured: settings that are checked before anything is loaded."""

from dataclasses import dataclass
from typing import Literal

from penjing.core.errors import ConfigError
from penjing.core.table import Table
from penjing.quantization.scheme import Scheme, parse_scheme

KEEP = "keep"  # in place of a scheme: as it is

Format = Literal["compressed-tensors", "gguf"]  # of what is written


@dataclass(frozen=True)
class Method:
    """What is known of a way to find the integers; its work is in `penjing.transform.methods`."""

    needs_text: bool  # else each matrix is quantized by itself
    work: float  # roughly, where measuring the model on a text is 1


METHODS: Table[Method] = Table(
    "quantization method",
    {
        "rtn": Method(False, 0.1),  # round to nearest
        "mse": Method(False, 0.5),  # the same, ranges clipped for the least squared error
        "gptq": Method(True, 4),
        "awq": Method(True, 3),
    },
)


def parse(name: str, method: str) -> Scheme:
    """The scheme of a name; the method "mse" is the same as "-mse" behind it.

    Raises:
        ConfigError: there is none of that name.
    """
    clipped = method == "mse" and not name.strip().lower().endswith("-mse")
    return parse_scheme(f"{name}-mse" if clipped else name)


@dataclass(frozen=True)
class QuantizeConfig:
    """How a model is quantized."""

    scheme: str = "int4-g32"  # of the layers' matrices; a name of `SCHEMES`
    method: str = "rtn"  # a name of `METHODS`
    keep: tuple[str, ...] = ()  # matrices that stay as they are: shell patterns
    head: str = KEEP  # scheme of the matrix to the logits; "keep" leaves it as it is
    table: str = KEEP  # scheme of the embedding table, where the format can hold one
    bits: float | None = None  # bits per weight of the whole model, for a mix of schemes
    mix: tuple[str, ...] = ()  # the schemes to mix, besides keeping a matrix as it is
    windows: int = 64  # of the calibration text
    window: int = 512  # tokens in each, at most the model's context
    sensitivity_windows: int = 4  # of these, to measure each matrix by itself
    damping: float = 0.01  # GPTQ: added to the Hessian's diagonal, as a share of its mean
    by_size: bool = True  # GPTQ: columns with the largest inputs first ("act-order")
    seed: int = 0  # which windows are taken

    @property
    def needs_text(self) -> bool:
        """Whether it cannot be done without a calibration text."""
        return METHODS[self.method].needs_text or self.bits is not None

    def check(self, *, with_text: bool) -> None:
        """Raises ConfigError for a value that cannot be, or that needs a text to calibrate on."""
        if self.needs_text and not with_text:
            what = "A budget of bits" if self.bits is not None else f"The method {self.method!r}"
            raise ConfigError(
                f"{what} needs a text to calibrate on: --calibrate FILE, or a corpus such as "
                "--calibrate corpus:wiki. Without one there are the methods rtn and mse."
            )
        parse(self.scheme, self.method)
        for name in (*self.mix, *(n for n in (self.head, self.table) if n != KEEP)):
            parse(name, self.method)
        if self.windows < 1 or self.window < 2 or self.sensitivity_windows < 1:
            raise ConfigError("At least one window of at least 2 tokens is needed to calibrate.")
        if not 0 <= self.damping <= 1:
            raise ConfigError(f"The damping must be from 0 to 1, got {self.damping}.")
        if self.bits is not None and not 0 < self.bits <= 32:
            raise ConfigError(f"A budget is in bits per weight, above 0, got {self.bits}.")


@dataclass(frozen=True)
class Measuring:
    """What is measured besides sizes."""

    window: int = 512  # tokens, at most the model's context
    tokens: int = 16_384  # of the text to evaluate, at most
    speed: bool = True  # on the engine that will run it
    threads: int = 0  # of that engine; 0 takes all processors
    rounds: int = 5  # of timing

    def check(self) -> None:
        """Raises ConfigError for a value that cannot be."""
        if self.window < 1 or self.tokens < 1:
            raise ConfigError("At least one token, in windows of at least one, must be evaluated.")
        if self.threads < 0 or self.rounds < 1:
            raise ConfigError(
                f"threads must be 0 (all processors) or more, got {self.threads}; rounds at least "
                f"1, got {self.rounds}."
            )
