"""Text in pieces that may be encoded each for itself: flat memory, however long a document is."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.data.readers import READERS, Part, stream_parts
from penjing.data.sources import STDIN, find_sources

_TAIL = 1 << 16  # characters at the end of a part in which a boundary is looked for
_BEFORE = 8  # characters that a boundary may depend on


def stream_pieces(
    sources: Sequence[str | Path],
    boundary: re.Pattern[str] | None,
    *,
    listener: Listener | None = None,
) -> Iterator[Part]:
    """The documents of the sources, large ones in pieces that end where `boundary` is.

    The ids of the pieces in a row are those of the document, where the boundary is that of its
    tokenizer.

    Args:
        boundary: where a text may be cut; None: nowhere, so that each document comes whole.

    Raises:
        DataError, CorpusError: something is missing, unreadable, not text, or holds no text.
        ConfigError: "corpus:..." with an unknown name.
    """
    for name, found in zip(sources, find_sources(sources, READERS), strict=True):
        some = False
        for source in found:
            for piece in rejoined(stream_parts(source, listener=listener), boundary):
                some = some or bool(piece.text.strip())
                yield piece
        if not some:
            raise DataError(f"{'Standard input' if str(name) == STDIN else name} holds no text.")


def rejoined(parts: Iterable[Part], boundary: re.Pattern[str] | None) -> Iterator[Part]:
    """The parts of documents, with what follows the last boundary of each put before the next."""
    held: list[str] = []
    for part in parts:
        before = held[-1][-_BEFORE:] if held else ""
        at = len(part.text) if part.ends else _last(before, part.text, boundary)
        if at or part.ends:
            yield Part("".join([*held, part.text[:at]]), part.source, part.ends)
            held.clear()
        if at < len(part.text):
            held.append(part.text[at:])


def _last(before: str, text: str, boundary: re.Pattern[str] | None) -> int:
    """Where the last boundary near the end is; 0, if there is none.

    Args:
        before: what comes before the text; a boundary may depend on it.
    """
    if boundary is None:
        return 0
    start = len(before) + max(0, len(text) - _TAIL)
    places = (match.start() for match in boundary.finditer(before + text, start))
    return max(places, default=len(before)) - len(before)
