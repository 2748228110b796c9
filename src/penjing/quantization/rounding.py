"""Round-to-nearest: from weights to small integers with scales, and how far off they are.

For each group of weights that share a scale (all of them, a row, or neighbours in a row), with
levels a..b of the scheme and low = min(w, 0), high = max(w, 0):

    symmetric     s = max(high / b, low / a)      q = round(w / s)        w ~ s q
    asymmetric    s = (high - low) / (b - a)      q = round(w / s) + z    w ~ s (q - z)
                  z = round(-low / s)

So s = max|w| / 127 for symmetric int8. s is the smallest scale that cuts off nothing: every weight
is off by s / 2 at most, and zero stays zero (Jacob et al. 2018, section 3; Krishnamoorthi 2018).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.quantization.clipping import best_ratios
from penjing.quantization.floats import FloatName, round_up
from penjing.quantization.scheme import Scheme
from penjing.quantization.tensor import QuantizedTensor

BLOCK = 1 << 16  # weights that are worked on at a time: they stay in a core's cache


@dataclass(frozen=True)
class Grid:
    """The numbers that each group can hold: scale * (q - zero), for all levels q of the scheme."""

    scale: NDArray[np.float32]  # (N, G), above 0
    zero: NDArray[np.int32] | None  # (N, G); None: symmetric


def quantize(
    w: NDArray[np.float32],
    scheme: Scheme,
    *,
    name: str = "The matrix",
    importance: NDArray[np.float32] | None = None,
    scale_dtype: FloatName = "float32",
) -> QuantizedTensor:
    """Round a matrix (N, K) to the nearest numbers of its grid. See `fit`."""
    grid = fit(w, scheme, name=name, importance=importance, scale_dtype=scale_dtype)
    return build(nearest(w, grid, scheme), grid, scheme)


def fit(
    w: NDArray[np.float32],
    scheme: Scheme,
    *,
    name: str = "The matrix",
    importance: NDArray[np.float32] | None = None,
    scale_dtype: FloatName = "float32",
) -> Grid:
    """The grid of a matrix (N, K): scales, and zero points if the scheme has them.

    `importance` (K,) says how much the squared error of each column counts when the scheme clips
    for the least error. The scales are numbers of the precision `scale_dtype`.

    Raises:
        CheckpointError: the matrix holds a NaN or an infinity.
        ConfigError: its rows cannot be cut into the scheme's groups.
    """
    if w.ndim != 2:
        raise CheckpointError(f"{name} has the shape {w.shape}: only matrices are quantized.")
    group = scheme.group_for(w.shape[1], name)
    low, high = _ends(w, group, name)
    if scheme.granularity == "tensor":
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    if scheme.clipping == "mse":

        def candidate(low: NDArray[Any], high: NDArray[Any]) -> tuple[Any, Any]:
            grid = grid_between(low, high, scheme, scale_dtype, name)
            return grid.scale, grid.zero

        ratio = best_ratios(w, low, high, candidate, scheme, importance)
        low, high = low * ratio, high * ratio
    return grid_between(low, high, scheme, scale_dtype, name)


def grid_between(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    scheme: Scheme,
    scale_dtype: FloatName = "float32",
    name: str = "The matrix",
) -> Grid:
    """The finest grid of the scheme that reaches from `low` <= 0 to `high` >= 0, all (N, G).

    Groups of zeros alone get the scale 1.

    Raises:
        ConfigError: a scale is beyond what `scale_dtype` can hold.
    """
    first, last = scheme.levels
    low64, high64 = low.astype(np.float64), high.astype(np.float64)
    if scheme.symmetric:
        scale = np.maximum(high64 / last, low64 / first)
    else:
        scale = (high64 - low64) / last
    empty = scale == 0
    scale = round_up(scale, scale_dtype, name=name)
    scale[empty] = 1.0
    if scheme.symmetric:
        return Grid(scale, None)
    return Grid(scale, np.clip(np.rint(-low64 / scale), first, last).astype(np.int32))


def nearest(w: NDArray[np.float32], grid: Grid, scheme: Scheme) -> NDArray[Any]:
    """The level q of each weight (N, K) on a grid of any number of groups, as int8 or uint8."""
    n, k = w.shape
    first, last = scheme.levels
    groups = grid.scale.shape[1]
    q = np.empty((n, groups, k // groups), np.int8 if scheme.symmetric else np.uint8)
    for rows in _blocks(n, k):
        x = w[rows].reshape(-1, groups, k // groups) / grid.scale[rows, :, None]
        np.rint(x, out=x)
        if grid.zero is not None:
            x += grid.zero[rows, :, None]
        q[rows] = np.clip(x, first, last, out=x)
    return q.reshape(n, k)


def build(q: NDArray[Any], grid: Grid, scheme: Scheme) -> QuantizedTensor:
    """A tensor of levels q (N, K) and their grid."""
    offset = None if grid.zero is None else (-grid.scale * grid.zero).astype(np.float32)
    group = q.shape[1] // grid.scale.shape[1]
    return QuantizedTensor(q, grid.scale, offset, scheme.bits, group, scheme.name)


def _ends(
    w: NDArray[np.float32], group: int, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The smallest and the largest weight of each group, (N, G) each, and 0 if that is beyond."""
    n, k = w.shape
    low, high = np.empty((2, n, k // group), np.float32)
    for rows in _blocks(n, k):
        x = w[rows].reshape(-1, k // group, group)
        x.min(axis=-1, out=low[rows])
        x.max(axis=-1, out=high[rows])
    if not (np.isfinite(low).all() and np.isfinite(high).all()):  # min and max keep a NaN
        row = int(np.argmin(np.isfinite(low + high).all(axis=1)))
        raise CheckpointError(
            f"{name} holds a NaN or an infinity in row {row}: it cannot be quantized. The model "
            "was damaged when it was trained or copied."
        )
    return np.minimum(low, 0), np.maximum(high, 0)


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """All rows, some at a time."""
    step = max(1, BLOCK // max(1, columns))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
