"""Which documents are trained on, which are kept aside, and which came before: from their hashes.

It needs no text, only a table with a row for each document, so that it is the same for texts in
memory and for any amount of text on a disk.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.data.hashing import text_hashes
from penjing.data.limits import MINIMUM_BYTES

DROPPED, TRAIN, VALIDATION = 0, 1, 2
Labels: TypeAlias = NDArray[np.uint8]
Int64s: TypeAlias = NDArray[np.int64]

_EMPTY = np.frombuffer(text_hashes("")[0], ">u8")  # of no text


@dataclass(frozen=True)
class Documents:
    """What the split is made of, a row for each document, in the order of the sources."""

    n_bytes: Int64s  # (D,)
    n_characters: Int64s  # (D,)
    digest: NDArray[Any]  # (D, 2) >u8: of the text; they sort as SHA-256 does
    core: NDArray[Any]  # (D, 2) >u8: of the text without the white space around it

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Documents":
        """The table of texts in memory."""
        hashes = [text_hashes(text) for text in texts]
        return cls(
            np.array([len(text.encode("utf-8")) for text in texts], dtype=np.int64),
            np.array([len(text) for text in texts], dtype=np.int64),
            numbers(b"".join(digest for digest, _ in hashes)),
            numbers(b"".join(core for _, core in hashes)),
        )


def numbers(digests: bytes) -> NDArray[Any]:
    """Digests of 16 bytes each as rows of two numbers that sort as the bytes do: (D, 2)."""
    return np.frombuffer(digests, ">u8").reshape(-1, 2)


@dataclass(frozen=True)
class Choice:
    """A label for each document, and what is cut."""

    labels: Labels  # (D,)
    duplicates: int
    cut: int | None = None  # the document whose tail is for validation
    at: int = 0  # the character where it is to be cut, or near it


def choose(documents: Documents, *, validation_fraction: float, exact: bool) -> Choice:
    """About `validation_fraction` of the bytes for validation, in whole documents if possible.

    Duplicates are left out first: of each core, the document with the least hash stays. Documents
    are taken in the order of their hashes; where they cannot fill half of the share (one document,
    or a few large ones), the tail of the largest is to be cut off instead.

    Raises:
        DataError: there is too little text, or `exact` and more than one document.
    """
    some = (documents.core != _EMPTY).any(axis=1)
    unique = some & _first_of_each(documents)
    labels = np.where(unique, np.uint8(TRAIN), np.uint8(DROPPED))
    duplicates = int(some.sum() - unique.sum())
    rows = np.flatnonzero(unique)
    total = int(documents.n_bytes[rows].sum())
    if total < MINIMUM_BYTES:
        raise DataError(
            f"There is too little text: {total} bytes in {len(rows)} documents; "
            f"at least {MINIMUM_BYTES} are needed, and some 100 KB to learn anything. Add text."
        )
    if exact and len(rows) != 1:
        raise DataError(
            f"An exact split cuts one document; there are {len(rows)}. Join them, or leave exact."
        )
    if validation_fraction == 0:
        return Choice(labels, duplicates)
    chosen = None if exact else _fill(documents, rows, validation_fraction * total)
    if chosen is not None:
        labels[chosen] = VALIDATION
        return Choice(labels, duplicates)
    by_size = np.lexsort((*_columns(documents.digest[rows]), documents.n_bytes[rows]))
    largest = int(rows[by_size[-1]])
    share = validation_fraction * total / int(documents.n_bytes[largest])
    length = int(documents.n_characters[largest])
    at = min(max(int(length * (1 - share)), 1), length - 1)
    return Choice(labels, duplicates, largest, at)


def _columns(digests: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """As keys for lexsort, whose last key counts most."""
    return digests[:, 1], digests[:, 0]


def _first_of_each(documents: Documents) -> NDArray[np.bool_]:
    """One document of each core: that with the least digest, and of equal ones the first."""
    order = np.lexsort((*_columns(documents.digest), *_columns(documents.core)))  # stable
    sorted_cores = documents.core[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (sorted_cores[1:] != sorted_cores[:-1]).any(axis=1)
    first = np.zeros(len(order), dtype=np.bool_)
    first[order[new]] = True
    return first


def _fill(documents: Documents, rows: Int64s, budget: float) -> Int64s | None:
    """In the order of their hashes, every document that brings the sum nearer to the budget.

    None, if these fill less than half of it.
    """
    order = rows[np.lexsort(_columns(documents.digest[rows]))]
    sizes = documents.n_bytes[order]
    smallest = int(sizes.min())
    left, chosen = budget, []
    for n, size in enumerate(map(int, sizes)):
        if smallest >= 2 * left:
            break
        if size < 2 * left:
            chosen.append(n)
            left -= size
    return order[chosen] if left <= budget / 2 else None


def unshared(cores: Sequence[bytes], held: Container[bytes]) -> NDArray[np.bool_]:
    """Which of the documents with these hashes another text does not hold.

    Raises:
        DataError: none.
    """
    found = np.array([core not in held for core in cores], dtype=np.bool_)
    if not found.any():
        raise DataError("The general text has nothing that the new text does not hold too.")
    return found


def nearest_line_end(at: int, starts: list[int], length: int, text_of: Callable[[int], str]) -> int:
    """The character after the line end that is nearest to `at`, in a document that lies in pieces.

    Args:
        starts: the character at which each piece begins.
        length: characters of the document.
        text_of: the text of a piece, by number.
    """
    reach = min(at, length - at) // 2  # keeps both parts at least half as long as wanted
    ends = [*starts[1:], length]
    places: list[int] = []
    for n in reversed(range(len(starts))):
        if starts[n] < at and ends[n] > at - reach:
            low, high = max(0, at - reach - starts[n]), at - starts[n]
            found = text_of(n).rfind("\n", low, high)
            if found >= 0:
                places.append(starts[n] + found + 1)
                break
    for n in range(len(starts)):
        if starts[n] < at + reach and ends[n] > at:
            low, high = max(0, at - starts[n]), at + reach - starts[n]
            found = text_of(n).find("\n", low, high)
            if found >= 0:
                places.append(starts[n] + found + 1)
                break
    inside = [place for place in places if 0 < place < length]
    return min(inside or [at], key=lambda place: abs(place - at))
