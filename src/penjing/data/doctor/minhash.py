"""Near duplicates: documents that share most of their shingles, found by their signatures.

Broder 1997: two sets' least hashes are equal with a probability that is their Jaccard similarity,
the shared part of all that is in either. Signatures are compared only where a whole band of them is
equal (Leskovec et al., Mining of Massive Datasets, 3.4), so that the work grows with the documents
and not with their pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS = 8  # values of a band: with 8 bits of each, a band is one 64-bit number
SIMILAR = 0.8  # shared shingles, from which on two documents count as near duplicates
_CHANCE = 1 / 256  # that 8 bits agree by chance
_CHUNK = 2**16  # pairs compared at once


@dataclass(frozen=True)
class Likeness:
    """For each of N documents the earlier one that it is most like."""

    leader: NDArray[np.int64]  # -1: none, (N,)
    similarity: NDArray[np.float64]  # estimated; 0 without a leader, (N,)


def similarity(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of pairs of signatures, (M, BINS) each -> (M,)."""
    agreement: NDArray[np.float64] = (left == right).mean(axis=1)
    return np.maximum(0.0, (agreement - _CHANCE) / (1 - _CHANCE))


def find_alike(
    signatures: NDArray[np.uint8], asked: NDArray[np.bool_], *, least: float = SIMILAR
) -> Likeness:
    """Near duplicates among documents in the order of their standing: the first of them is kept.

    In each band a document is compared with the first that has the same values, and with the one
    before it. At a similarity of 0.8 one of 16 bands agrees for 95 pairs in 100.

    Args:
        signatures: 8 bits of each value, (N, BINS).
        asked: which documents take part, (N,).
        least: the similarity from which on documents are alike, 0 to 1.
    """
    n = len(signatures)
    found = Likeness(np.full(n, -1, dtype=np.int64), np.zeros(n))
    rows = np.flatnonzero(asked)
    if not len(rows):
        return found
    bands = np.ascontiguousarray(signatures[rows]).view(np.uint64)  # (rows, bands)
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order[1:]] == band[order[:-1]]) + 1
        if not len(same):
            continue
        starts = np.ones(len(order), dtype=bool)
        starts[same] = False
        firsts = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        for leaders in (order[firsts[same]], order[same - 1]):
            _compare(signatures, rows[order[same]], rows[leaders], least, found)
    return found


def _compare(
    signatures: NDArray[np.uint8],
    members: NDArray[np.int64],
    leaders: NDArray[np.int64],
    least: float,
    found: Likeness,
) -> None:
    """Note the pairs that are alike; of several leaders the most similar, then the earliest."""
    new = found.leader[members] != leaders
    members, leaders = members[new], leaders[new]
    for begin in range(0, len(members), _CHUNK):
        those, theirs = members[begin : begin + _CHUNK], leaders[begin : begin + _CHUNK]
        alike = similarity(signatures[those], signatures[theirs])
        better = (alike >= least) & (alike > found.similarity[those])
        found.leader[those[better]] = theirs[better]
        found.similarity[those[better]] = alike[better]
