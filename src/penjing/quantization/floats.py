"""Floats as files keep them. Scales are rounded so: what is computed is what is stored."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import ConfigError

FloatName = Literal["float32", "bfloat16", "float16"]

# Below these a scale is lifted: the smallest normal number, and for float16 the smallest at all.
SMALLEST: dict[FloatName, float] = {"float32": 2**-126, "bfloat16": 2**-126, "float16": 2**-24}
LARGEST: dict[FloatName, float] = {
    "float32": float(np.finfo(np.float32).max),
    "bfloat16": 2.0**127 * (2 - 2**-7),
    "float16": 65504.0,
}


def round_up(values: NDArray[Any], dtype: FloatName, *, name: str = "The matrix") -> NDArray[Any]:
    """The next number of that precision at or above each of `values` >= 0, as float32.

    Upwards, because a scale that is a little too small would cut off the largest weight.
    float32 itself is rounded to nearest: its error is below that of the rounding that follows.

    Raises:
        ConfigError: a value is beyond what the precision can hold.
    """
    if values.size and float(values.max()) > LARGEST[dtype]:
        raise ConfigError(
            f"{name} needs a scale of {float(values.max()):.3g}, which {dtype} cannot hold. "
            "Write the scales in float32 or bfloat16."
        )
    values = np.maximum(values, SMALLEST[dtype])
    single = values.astype(np.float32)
    if dtype == "bfloat16":
        bits = single.view(np.uint32)
        return ((bits + np.uint32(0xFFFF)) & np.uint32(0xFFFF0000)).view(np.float32)
    if dtype == "float16":
        half = values.astype(np.float16)
        with np.errstate(over="ignore"):  # of the largest, which is not below its value
            half = np.where(half < values, np.nextafter(half, np.float16(np.inf)), half)
        return half.astype(np.float32)
    return single


def to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """The same numbers in float32, exactly but for float64; uint16 is bfloat16's bits."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float32)


def all_finite(array: NDArray[Any]) -> bool:
    """Whether no number is a NaN or an infinity; uint16 is bfloat16's bits."""
    if array.dtype == np.uint16:
        exponent = np.uint16(0x7F80)  # all ones, where it is no number
        return not bool(np.any((array & exponent) == exponent))
    return bool(np.isfinite(array).all())


def fits(values: NDArray[np.float32], dtype: FloatName) -> bool:
    """Whether that precision holds each of these numbers exactly."""
    if dtype == "bfloat16":
        return not bool(np.any(values.view(np.uint32) & np.uint32(0xFFFF)))
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return bool(np.array_equal(values.astype(np.float16).astype(np.float32), values))
    return True
