"""Steps that flatten, sharpen or cut a distribution: pure functions of logits, float32 (V,).

A token that a step removes gets -inf. Wherever tokens tie, the lower id comes first.
"""

import math

import numpy as np
import numpy.typing as npt

from penjing.generate.sampling.draw import Ids, logsumexp, mass, reach
from penjing.kernels.scores import Logits

# Below this temperature the largest logit is moved to 0 first, lest the quotients overflow.
TINY_TEMPERATURE = 0.01
_TINY_FLOAT = float(np.finfo(np.float32).tiny)
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_FIRST = 1024  # tokens that are put in order at first: most often they are enough


def temperature(logits: Logits, t: float) -> Logits:
    """Divide by `t`: above 1 flattens the distribution, below 1 sharpens it.

    At 0 only the likeliest token is left, the lowest id of those that tie. Below 0.01 the logits
    are shifted first, so that the largest is 0: the same distribution.
    """
    if t == 0:
        return keep_ids(logits, np.array([logits.argmax()]))
    if t < TINY_TEMPERATURE:
        logits, t = logits - logits.max(), max(t, _TINY_FLOAT)
    with np.errstate(over="ignore"):  # to -inf, which is right
        divided: Logits = logits / np.float32(min(t, _LARGEST_FLOAT))
    return divided


def top_k(logits: Logits, k: int) -> Logits:
    """Keep exactly the `k` likeliest tokens (Fan et al. 2018).

    Of tokens that tie for the last place, those with the lowest ids stay. (`transformers` keeps
    them all, so that k = 1 may leave several; with bfloat16 logits ties are common.)
    """
    if k >= len(logits):
        return logits
    place = len(logits) - k
    return _keep_largest(logits, k, last=np.partition(logits, place)[place])


def top_p(logits: Logits, p: float) -> Logits:
    """Keep the nucleus, the fewest likeliest tokens that reach `p` together (Holtzman et al. 2020).

    Of tokens that tie for the last place, those with the lowest ids stay.
    """
    # All tokens below this logit have less than 1 - p together: the nucleus lies above it.
    top = logits.max()
    floor = top + np.float32(math.log((1 - p) / len(logits)))
    near = logits[np.flatnonzero(logits >= floor)]
    ordered = -np.sort(-near)  # the likeliest first
    n = reach(np.exp(ordered - top), p * mass(logits), "left") + 1
    return _keep_largest(logits, n, last=ordered[n - 1])


def min_p(logits: Logits, p: float) -> Logits:
    """Drop tokens below `p` times the likeliest one's probability (Nguyen et al. 2024)."""
    return keep(logits, logits >= logits.max() + np.float32(math.log(p)))


def typical_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest most typical tokens that reach `p` together (Meister et al. 2022).

    Typical is what surprises about as much as the distribution does on average: its surprise,
    -log(probability), is near the entropy. The likeliest token itself may go.
    """
    logprobs = logits - np.float32(logsumexp(logits))
    probabilities = np.exp(logprobs)
    possible = np.where(probabilities > 0, logprobs, np.float32(0))  # 0 * -inf is no number
    entropy = -(probabilities * possible).sum()
    strangeness = np.abs(logprobs + entropy)  # (V,); infinite for what is not possible
    for n in (min(_FIRST, len(logits)), len(logits)):
        last = np.partition(strangeness, n - 1)[n - 1]
        near = np.flatnonzero(strangeness <= last)
        near = near[strangeness[near].argsort(kind="stable")]  # the most typical first
        enough = reach(probabilities[near], p, "left") + 1
        if enough < len(near):
            break
    return keep_ids(logits, near[:enough])


def xtc(logits: Logits, threshold: float) -> Logits:
    """Exclude top choices: of the tokens with at least `threshold`, only the least likely stays.

    With fewer than two such tokens nothing happens (p-e-w 2024, text-generation-webui).
    """
    floor = logsumexp(logits) + math.log(threshold)
    (top,) = np.nonzero(logits >= floor)
    if len(top) < 2:
        return logits
    left = logits.copy()
    left[top] = -np.inf
    last = top[len(top) - 1 - int(logits[top][::-1].argmin())]  # of ties, the one ranked last
    left[last] = logits[last]
    return left


def keep(logits: Logits, mask: npt.NDArray[np.bool_]) -> Logits:
    """Only the tokens of the boolean `mask` (V,)."""
    if 2 * np.count_nonzero(mask) < len(mask):
        return keep_ids(logits, np.flatnonzero(mask))
    left = logits.copy()
    left[np.flatnonzero(~mask)] = -np.inf
    return left


def keep_ids(logits: Logits, ids: Ids) -> Logits:
    """Only these tokens."""
    left = np.full_like(logits, -np.inf)
    left[ids] = logits[ids]
    return left


def _keep_largest(logits: Logits, n: int, last: np.float32) -> Logits:
    """Only the `n` largest logits (V,), of which `last` is the smallest; of ties, the lower ids."""
    mask = logits >= last
    surplus = np.count_nonzero(mask) - n
    if surplus:
        mask[np.flatnonzero(logits == last)[-surplus:]] = False
    return keep(logits, mask)
