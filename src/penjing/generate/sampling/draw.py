"""Chance: one token from a distribution, and the two-level sums that make it cheap."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from penjing.core.errors import GenerationError
from penjing.kernels.scores import Logits, Summary

Ids = npt.NDArray[np.intp]  # token ids, or other places in an array

BLOCK = 1024  # sums are made of so many numbers first: a running sum over all of V is slow


def summarize(logits: Logits) -> Summary:
    """The summary of logits (V,); where no token can be chosen, `check_logits` says why."""
    id = int(logits.argmax())
    top = float(logits[id])
    return Summary(top, id, logsumexp(logits) if math.isfinite(top) else math.nan)


def possible(logits: Logits) -> Ids | None:
    """The tokens that were not removed, if they are few; None if they are many."""
    left = logits > -np.inf
    return np.flatnonzero(left) if 8 * np.count_nonzero(left) < len(left) else None


def mass(logits: Logits) -> float:
    """sum(exp(logits - max)): the whole of a distribution, in units of its likeliest token."""
    ids = possible(logits)
    left = logits if ids is None else logits[ids]
    shifted = left - left.max()
    return float(np.exp(shifted, out=shifted).sum())


def logsumexp(logits: Logits) -> float:
    """log(sum(exp(logits))): what is taken off logits to make log-probabilities of them."""
    top = logits.max()
    shifted = logits - top
    return float(top) + math.log(np.exp(shifted, out=shifted).sum())


def draw(logits: Logits, u: float) -> int:
    """One token from softmax(logits), by the inverse of the cumulative distribution.

    `u` in [0, 1) is the only chance in it, so that a seed's n-th draw does not depend on how many
    tokens were possible before it. A token of probability 0 is never drawn.
    """
    ids = possible(logits)
    left = logits if ids is None else logits[ids]
    place = reach(np.exp(left - left.max()), u, "right", share=True)
    return place if ids is None else int(ids[place])


def reach(
    weights: Logits, target: float, side: Literal["left", "right"], *, share: bool = False
) -> int:
    """The first place at which the running sum of `weights` is at least `target` ("left") or
    above it ("right"); with `share`, that share of the whole sum.

    Where rounding leaves the sum short of it, the last place whose weight is above 0.
    """
    starts = np.arange(0, len(weights), BLOCK)
    sums = np.add.reduceat(weights, starts, dtype=np.float64).cumsum()
    target *= sums[-1] if share else 1.0
    block = _search(sums, target, side)
    start = int(starts[block])
    inside = weights[start : start + BLOCK].cumsum(dtype=np.float64)
    return start + _search(inside, target - (sums[block - 1] if block else 0.0), side)


def _search(sums: npt.NDArray[np.float64], target: float, side: Literal["left", "right"]) -> int:
    whole = sums.searchsorted(sums[-1])  # the first place at which nothing more is added
    return min(int(sums.searchsorted(target, side)), int(whole))


def check_logits(logits: Logits, what: str) -> None:
    """Nothing, when a token can be chosen from `logits` (V,); `what` names them in the error.

    Raises:
        GenerationError: NaN or +inf anywhere, or -inf everywhere.
    """
    top = float(logits.max())  # NaN if any is
    if math.isfinite(top):
        return
    if top == -math.inf:
        raise GenerationError(f"{what} are -inf for every token: none is left to choose.")
    raise GenerationError(
        f"{what} hold {'NaN' if math.isnan(top) else 'infinity'}. If the weights are sound, try "
        "float32 instead of a 16-bit type; if a penalty or a bias is extreme, make it smaller."
    )
