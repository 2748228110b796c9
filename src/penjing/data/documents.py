"""Training and validation text: split by document, without leaks, the same on every run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from penjing.core.errors import ConfigError, DataError
from penjing.core.types import Document

MINIMUM_BYTES = 64  # less than this cannot be split in any useful way
MAX_VALIDATION_FRACTION = 0.5  # of the bytes; the least is 0, which keeps all for training


@dataclass(frozen=True)
class Summary:
    """How much text there is."""

    documents: int
    duplicates: int  # documents whose text came before, white space around it aside
    characters: int
    bytes: int  # in UTF-8
    lines: int
    shortest: int  # characters of the shortest, middle and longest document
    median: int
    longest: int


@dataclass(frozen=True)
class Split:
    """Two disjoint lists of documents, each in the order of the source."""

    train: list[Document]
    validation: list[Document]
    duplicates: int  # documents that were dropped, see `Summary`


def summary(documents: Sequence[Document]) -> Summary:
    """What was read: counts of documents, characters, bytes and lines."""
    lengths = sorted(len(doc.text) for doc in documents) or [0]
    return Summary(
        documents=len(documents),
        duplicates=len(documents) - len({doc.text.strip() for doc in documents}),
        characters=sum(lengths),
        bytes=sum(map(_size, documents)),
        lines=sum(len(doc.text.splitlines()) for doc in documents),
        shortest=lengths[0],
        median=lengths[len(lengths) // 2],
        longest=lengths[-1],
    )


def split_documents(
    documents: Sequence[Document], *, validation_fraction: float, exact: bool = False
) -> Split:
    """Take about `validation_fraction` of the bytes for validation, in whole documents if possible.

    Duplicates are dropped first, so that no validation text was trained on. Which documents are
    taken follows from hashes of their texts, not from their order or number of files. Where whole
    documents cannot fill half of that share (one document, or a few large ones), the tail of the
    largest is cut off instead, at the line end that is nearest.

    Args:
        validation_fraction: from 0 to `MAX_VALIDATION_FRACTION`.
        exact: cut one document at exactly `int(len(text) * (1 - validation_fraction))` characters,
            as nanoGPT does, to compare losses with it.

    Raises:
        ConfigError: a fraction out of range.
        DataError: there is too little text, or `exact` and more than one document.
    """
    if not 0 <= validation_fraction <= MAX_VALIDATION_FRACTION:
        raise ConfigError(
            f"validation_fraction must be from 0 to {MAX_VALIDATION_FRACTION}, "
            f"got {validation_fraction}."
        )
    documents = [doc for doc in documents if doc.text.strip()]
    unique = _unique(documents)
    duplicates = len(documents) - len(unique)
    total = sum(map(_size, unique))
    if total < MINIMUM_BYTES:
        raise DataError(
            f"There is too little text: {total} bytes in {len(unique)} documents; "
            f"at least {MINIMUM_BYTES} are needed, and some 100 KB to learn anything. Add text."
        )
    if exact and len(unique) != 1:
        raise DataError(
            f"An exact split cuts one document; there are {len(unique)}. Join them, or leave exact."
        )
    if validation_fraction == 0:
        return Split(unique, [], duplicates)
    chosen = set() if exact else _choose(unique, validation_fraction * total)
    if chosen:
        train = [doc for doc in unique if doc.text not in chosen]
        validation = [doc for doc in unique if doc.text in chosen]
        return Split(train, validation, duplicates)
    largest = max(unique, key=lambda doc: (_size(doc), doc.text))
    head, tail = _cut(largest, validation_fraction * total / _size(largest), exact=exact)
    train = [head if doc is largest else doc for doc in unique]
    return Split(train, [tail], duplicates)


def _size(document: Document) -> int:
    return len(document.text.encode("utf-8"))


def _unique(documents: Sequence[Document]) -> list[Document]:
    """Each text once, where it first stands.

    Of texts that differ by white space around them, the first in code point order is kept: the
    choice must not depend on the order of the files.
    """
    kept: dict[str, Document] = {}
    for doc in documents:
        text = doc.text.strip()
        kept[text] = min(kept.get(text, doc), doc, key=lambda copy: copy.text)
    return list(kept.values())


def _choose(documents: Sequence[Document], budget: float) -> set[str]:
    """In the order of their hashes, every text that brings the sum nearer to the budget.

    The empty set, if these fill less than half of it.
    """
    by_hash = sorted(documents, key=lambda doc: hashlib.sha256(doc.text.encode("utf-8")).digest())
    chosen: set[str] = set()
    left = budget
    for doc in by_hash:
        if (size := _size(doc)) < 2 * left:
            chosen.add(doc.text)
            left -= size
    return chosen if left <= budget / 2 else set()


def _cut(document: Document, fraction: float, *, exact: bool) -> tuple[Document, Document]:
    """The document without its tail, and the tail. Neither is empty."""
    text = document.text
    at = min(max(int(len(text) * (1 - fraction)), 1), len(text) - 1)
    if not exact:
        reach = min(at, len(text) - at) // 2  # keeps both parts at least half as long as wanted
        before = text.rfind("\n", at - reach, at) + 1
        after = text.find("\n", at, at + reach) + 1
        ends = [end for end in (before, after) if 0 < end < len(text)] or [at]
        at = min(ends, key=lambda end: abs(end - at))
    source = document.source
    return Document(text[:at], source), Document(text[at:], f"{source} (from character {at})")
