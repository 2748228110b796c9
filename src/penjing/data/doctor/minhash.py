"""Near duplicates: documents that share most of their shingles, found by their signatures.

Broder 1997: two sets' least hashes are equal with a probability that is their Jaccard similarity,
the shared part of all that is in either. Signatures are compared only where a whole band of them is
equal (Leskovec et al., Mining of Massive Datasets, 3.4), so that the work grows with the documents
and not with their pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def thin_out(
    signatures: NDArray[np.uint8], asked: NDArray[np.bool_], *, least: float = SIMILAR
) -> Likeness:
    """Near duplicates of which the first stays: each leader is one that stays itself.

    Of many versions of a text, where each is like the one before, those stay that are not like any
    that stays before them.

    Args:
        signatures, asked, least: as `find_alike` has them.
    """
    n = len(signatures)
    gone = Likeness(np.full(n, -1, dtype=np.int64), np.zeros(n))
    stays = among = asked.copy()
    while True:
        found = find_alike(signatures, among, least=least)
        some = np.flatnonzero(found.leader >= 0)
        if not len(some):
            if among is stays:
                return gone
            among = stays  # those that were compared with one that is gone since
            continue
        sure = some[found.leader[found.leader[some]] < 0]
        gone.leader[sure] = found.leader[sure]
        gone.similarity[sure] = found.similarity[sure]
        stays[sure] = False
        among = np.zeros(n, dtype=bool)  # the others are like none
        among[some] = among[found.leader[some]] = True
        among &= stays


def find_alike(
    signatures: NDArray[np.uint8],
    asked: NDArray[np.bool_],
    *,
    least: float = SIMILAR,
    leaders: NDArray[np.bool_] | None = None,
) -> Likeness:
    """For each document the one that it is most like, of those that stand before it.

    In each band a document is compared with the first that has the same values, and with the last
    before it. At a similarity of 0.8 one of 16 bands agrees for 95 pairs in 100.

    Args:
        signatures: 8 bits of each value, (N, BINS), in the order of their standing.
        asked: which documents take part, (N,).
        least: the similarity from which on documents are alike, 0 to 1.
        leaders: which documents others are compared with, (N,); None: all.
    """
    n = len(signatures)
    found = Likeness(np.full(n, -1, dtype=np.int64), np.zeros(n))
    rows = np.flatnonzero(asked)
    if not len(rows):
        return found
    leads = np.ones(len(rows), dtype=bool) if leaders is None else leaders[rows]
    # A band is eight values as one number: (rows, bands).
    bands = np.ascontiguousarray(signatures[rows]).view(np.uint64)
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        for places, others in _candidates(band[order], leads[order]):
            _compare(signatures, rows[order[places]], rows[order[others]], least, found)
    return found


def _candidates(
    band: NDArray[np.uint64], leads: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places in a sorted band that are worth comparing: with the first leader, and with the last
    before them, of the same value."""
    n = len(band)
    places = np.arange(n)
    starts = np.ones(n, dtype=bool)
    starts[1:] = band[1:] != band[:-1]
    begins = np.maximum.accumulate(np.where(starts, places, 0))  # of the run of the same value
    following = np.minimum.accumulate(np.where(leads, places, n)[::-1])[::-1]
    before = np.concatenate([[-1], np.maximum.accumulate(np.where(leads, places, -1))[:-1]])
    first = following[begins]
    for others, some in ((first, first < places), (before, before >= begins)):
        yield places[some], others[some]


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
