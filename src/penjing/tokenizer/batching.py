"""Texts of any length and number, in pieces and batches: their ids never lie all in memory."""

import re
from collections.abc import Iterable, Iterator, Sequence

from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.splits import cut

PIECE = 1 << 16  # characters of a long text that are encoded at once
BATCH = 1 << 19  # characters: an encoding takes some 200 bytes a token until its ids are out

Piece = tuple[str, bool]  # and whether its text ends there


def pieces_of_texts(texts: Iterable[str], boundary: re.Pattern[str] | None) -> Iterator[Piece]:
    """Each text, in pieces if it is long and may be cut where `boundary` is.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    for text in texts:
        require_unicode(text)
        left = len(text)
        if boundary is None or left <= PIECE:
            yield text, True
            continue
        for piece in cut(text, PIECE, boundary):
            left -= len(piece)
            yield piece, left == 0


def batches(pieces: Iterable[Piece]) -> Iterator[Sequence[Piece]]:
    """The pieces in turn, as many at once as have `BATCH` characters."""
    batch: list[Piece] = []
    size = 0
    for piece, is_last in pieces:
        batch.append((piece, is_last))
        size += len(piece)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
