"""Axes: which part of the numbers is shown, where each lies, and which ones are written beside."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST, _MOST = 1e-150, 1e150
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """A straight or logarithmic map from `low..high` to the pixels `start..end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._position(self.low), self._position(self.high)
        share = (self._position(value) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def shows(self, value: float) -> bool:
        """Whether the value can be drawn at all: see `drawable`."""
        return drawable(value, log=self.log)

    def ticks(self, wanted: int) -> list[float]:
        """About `wanted` round numbers within the scale."""
        if self.log:
            ticks = _log_ticks(self.low, self.high, wanted)
            if len(ticks) > 1:
                return ticks
        return _linear_ticks(self.low, self.high, wanted)

    def _position(self, value: float) -> float:
        return math.log10(value) if self.log else value


def drawable(value: float, *, log: bool = False) -> bool:
    """Whether a value has a place: it is finite, and on a logarithmic axis it is positive.

    So near to the ends of what a float can hold that sums and products overflow, it has none.
    """
    return (_LEAST if log else -_MOST) <= value <= _MOST


def fitted(
    values: Iterable[float],
    pixels: tuple[float, float],
    *,
    log: bool = False,
    rounded: int = 0,
) -> Scale:
    """The scale that shows all of `values`; on a logarithmic axis, all that are positive.

    Args:
        pixels: where the lowest and the highest value lie.
        rounded: if above 0, a straight axis begins and ends at one of about so many round numbers.
    """
    shown = [v for v in values if drawable(v, log=log)]
    low, high = (min(shown), max(shown)) if shown else (1.0, 10.0)
    if log:
        room = max((high / low) ** 0.04, 1.02)
        return Scale(low / room, high * room, *pixels, log=True)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), _LEAST):
        room = abs(high) * 0.1 if abs(high) > _LEAST else 1.0
        low, high = low - room, high + room
    if rounded:
        step = _round_step((high - low) / rounded)
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(low, high, *pixels)


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """How the ticks of one axis are written: all with as many digits as tell them apart."""
    steps = [abs(b - a) for a, b in pairwise(ticks)]
    return [number(tick, min(steps, default=abs(tick))) for tick in ticks]


def number(value: float, step: float | None = None) -> str:
    """A number as short as it can be read: 0.25, 1,500, 20k, 1.5M, 3×10⁻⁵; NaN is a dash.

    Args:
        step: the smallest difference that must be seen; without it, three digits are shown.
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3 or size >= 1e15:
        return _scientific(value)
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit and (unit > 1e3 or size >= 1e4):
            return _decimal(value / unit, (step or _step_of(size)) / unit) + letter
    return _decimal(value, step or _step_of(size))


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    digits = mantissa.removesuffix(".0").replace("-", "−")
    return power if digits == "1" else f"{digits}×{power}"


def _decimal(value: float, step: float) -> str:
    digits = max(0, min(6, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 0
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _step_of(size: float) -> float:
    """Three digits that matter."""
    return float(10.0 ** (math.floor(math.log10(size)) - 2))


def _round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = float(10.0 ** math.floor(math.log10(rough)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    step = _round_step((high - low) / max(1, wanted))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Powers of ten; in a short range also 2 and 5 times these."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [f * 10.0**p for p in powers for f in factors]
        ticks = [t for t in ticks if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
        if len(ticks) > max(2, wanted // 2):
            break
    return ticks[:: max(1, math.ceil(len(ticks) / (wanted + 1)))]
