"""Training and validation text: split by document, without leaks, the same on every run."""

from collections.abc import Sequence
from dataclasses import dataclass

from penjing.core.errors import ConfigError
from penjing.core.types import Document
from penjing.data.limits import MAX_VALIDATION_FRACTION
from penjing.data.splitting import DROPPED, TRAIN, Documents, choose, nearest_line_end


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
    table = Documents.of([doc.text for doc in documents])
    choice = choose(table, validation_fraction=validation_fraction, exact=exact)
    train: list[Document] = []
    validation: list[Document] = []
    for n, (doc, label) in enumerate(zip(documents, choice.labels, strict=True)):
        if n == choice.cut:
            text, at = doc.text, choice.at
            if not exact:
                at = nearest_line_end(at, [0], len(text), [text].__getitem__)
            train.append(Document(text[:at], doc.source))
            validation.append(Document(text[at:], f"{doc.source} (from character {at})"))
        elif label != DROPPED:
            (train if label == TRAIN else validation).append(doc)
    return Split(train, validation, choice.duplicates)


def _size(document: Document) -> int:
    return len(document.text.encode("utf-8"))
