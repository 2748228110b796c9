"""How much of a validation text was trained on, word for word."""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.data.batches import Tokens

PASSAGE_BYTES = 100  # at least: shorter runs of words recur in any text: names, set phrases
HASHED = 2**24  # training tokens that are looked at, at most

UInt64s: TypeAlias = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, with its ones well spread (Steele et al. 2014)


def overlap(training: Tokens, validation: Tokens) -> float:
    """The share of validation tokens inside passages that stand in the training text, 0 to 1.

    A passage is a run of tokens of 100 to 200 bytes (a power of two of them); Lee et al. 2022
    ("Deduplicating Training Data Makes Language Models Better") use 50 tokens of English, about 200
    bytes. Runs are compared by 64-bit hashes.
    """
    ids = validation.ids[:].numpy(force=True)
    bytes_per_token = validation.n_bytes / max(1, len(ids))
    doublings = max(1, math.ceil(math.log2(PASSAGE_BYTES / max(bytes_per_token, 0.1))))
    length = 2**doublings
    seen = _hashes(training.ids[:HASHED].numpy(force=True), doublings)
    wanted = _hashes(ids, doublings)
    if not len(seen) or not len(wanted):
        return 0.0
    seen.sort()
    at = np.minimum(np.searchsorted(seen, wanted), len(seen) - 1)
    starts = np.zeros(len(ids) + 1, dtype=np.int64)
    found = np.flatnonzero(seen[at] == wanted)
    starts[found] += 1
    starts[found + length] -= 1
    return float((np.cumsum(starts)[:-1] > 0).mean())


def _hashes(ids: NDArray[np.int64], doublings: int) -> UInt64s:
    """A hash of each run of 2^doublings ids: (N,) -> (N - 2^doublings + 1,)."""
    hashes = _mix(ids.astype(np.uint64) + np.uint64(1))
    for i in range(doublings):
        n = 2**i
        if len(hashes) <= n:
            return hashes[:0]
        hashes = _mix(hashes[:-n] * _MULTIPLIER + hashes[n:])
    return hashes


def _mix(x: UInt64s) -> UInt64s:
    """The finishing step of SplitMix64: every bit of the result depends on every bit of x."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
