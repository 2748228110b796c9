"""How much of its range to give up: the ratio with which each group has the least squared error.

The largest weight sets the scale, and with it the error of all others in its group. Ranges a little
smaller cut that weight off and make the steps finer for the rest. For four bits this pays, for
eight hardly (Banner et al. 2019; Nagel et al. 2021, section 2.2: "MSE range setting").
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.quantization.scheme import Scheme

RATIOS = tuple(1 - n / 32 for n in range(28))  # of the whole range; down to 0.16
PATIENCE = 5  # smaller ratios that are still tried once none of a block's groups gains any more
BLOCK = 1 << 15  # weights at a time, with as many of what is computed of them, in a core's cache

Candidate = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any] | None]]


def best_ratios(
    w: NDArray[np.float32],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    candidate: Candidate,
    scheme: Scheme,
    importance: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """The best of `RATIOS` for each group of w (N, K), (N, G); one for all, if the scheme says so.

    `candidate` makes scale and zero point of the ends of a range; `importance` (K,) weighs columns.
    """
    n, k = w.shape
    groups = low.shape[1]
    step = max(1, BLOCK // k)
    best = np.empty((n, groups), np.float32)
    total = np.zeros(len(RATIOS))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        error_of = _Errors(w[rows], groups, scheme, importance)
        if scheme.granularity == "tensor":
            for i, ratio in enumerate(RATIOS):
                total[i] += error_of(*candidate(low[rows] * ratio, high[rows] * ratio)).sum()
        else:
            best[rows] = _search(error_of, low[rows], high[rows], candidate)
    if scheme.granularity == "tensor":
        best[:] = RATIOS[int(np.argmin(total))]
    return best


def _search(
    error_of: "_Errors", low: NDArray[Any], high: NDArray[Any], candidate: Candidate
) -> NDArray[np.float32]:
    """The best ratio of each group, (n, G)."""
    best = np.ones(low.shape, np.float32)
    least = np.full(low.shape, np.inf)
    idle = 0
    for ratio in RATIOS:
        error = error_of(*candidate(low * ratio, high * ratio))
        better = error < least
        best[better] = ratio
        least = np.minimum(error, least)
        idle = 0 if better.any() else idle + 1
        if idle == PATIENCE:
            break
    return best


class _Errors:
    """Squared errors of the groups of a block of weights, for one grid after the other.

    Groups lie side by side, (g, n G), so that each step is one pass over long rows.
    """

    def __init__(
        self,
        w: NDArray[np.float32],
        groups: int,
        scheme: Scheme,
        importance: NDArray[np.float32] | None,
    ) -> None:
        self.shape = (w.shape[0], groups)
        self.levels = scheme.levels
        self.x = np.ascontiguousarray(w.reshape(w.shape[0] * groups, -1).T)  # (g, n G)
        self.scratch = np.empty_like(self.x)
        self.weight: NDArray[np.float32] | None = None
        if importance is not None:
            weight = importance.astype(np.float32).reshape(groups, -1).T
            self.weight = np.tile(weight, w.shape[0])

    def __call__(self, scale: NDArray[Any], zero: NDArray[Any] | None) -> NDArray[np.float64]:
        """(n, G) for a grid of as many groups."""
        first, last = self.levels
        scale, t = scale.reshape(-1), self.scratch
        np.divide(self.x, scale, out=t)
        np.rint(t, out=t)
        if zero is None:
            np.clip(t, first, last, out=t)
        else:
            z = zero.reshape(-1)
            np.clip(t, first - z, last - z, out=t)
        t *= scale
        t -= self.x
        t *= t
        if self.weight is not None:
            t *= self.weight
        errors: NDArray[np.float64] = t.sum(axis=0, dtype=np.float64)
        return errors.reshape(self.shape)
