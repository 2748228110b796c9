"""A bounded part of a text of any length, to learn merges from."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.splits import WORD_END

_CHUNK = 1 << 14  # characters: long texts are drawn in such pieces
_REACH = 1 << 10  # characters more, in which the end of a word is looked for


@dataclass(frozen=True)
class Sample:
    """What was drawn, in the order of the texts."""

    pieces: list[bytes]  # in UTF-8, none of them empty
    n_bytes: int  # in them
    n_read: int  # bytes that they were drawn from

    @property
    def sampled(self) -> bool:
        """Whether anything was left out."""
        return self.n_bytes < self.n_read

    @property
    def texts(self) -> Iterator[str]:
        """The pieces as text, one after the other: one emoji makes a text four times as large."""
        return (piece.decode("utf-8") for piece in self.pieces)

    def given_away(self) -> Iterator[str]:
        """The same, once: each piece is forgotten here, so its memory is free for what follows."""
        self.pieces.reverse()
        while self.pieces:
            yield self.pieces.pop().decode("utf-8")


class Reservoir:
    """Takes in texts of any length in turn, and keeps at most `max_bytes` (but one piece at least).

    One pass in bounded memory: every piece draws a number, and those with the smallest stay, so
    each piece has the same chance. The numbers are the same each time. A text that fits is kept
    whole; where it is cut, a word ends, if one does soon.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._draw = random.Random(0).random
        self._kept: list[tuple[float, int, bytes]] = []  # a heap: the largest number on top
        self._n_bytes = self._number = 0
        self.n_read = 0

    def add(self, text: str) -> None:
        """Take in a text.

        Raises:
            TokenizerError: it is not valid Unicode.
        """
        require_unicode(text)
        for piece in _pieces(text):
            raw = piece.encode("utf-8")
            heapq.heappush(self._kept, (-self._draw(), self._number, raw))
            self._number += 1
            self.n_read += len(raw)
            self._n_bytes += len(raw)
            while self._n_bytes > self._max_bytes and len(self._kept) > 1:
                self._n_bytes -= len(heapq.heappop(self._kept)[2])

    def sample(self) -> Sample:
        """What is kept now."""
        kept = sorted(self._kept, key=lambda entry: entry[1])
        return Sample([raw for *_, raw in kept], self._n_bytes, self.n_read)


def draw_sample(
    texts: Iterable[str], max_bytes: int, on_read: Callable[[int], None] | None = None
) -> Sample:
    """Pieces of the texts, of at most `max_bytes` of UTF-8 (but at least one).

    `on_read` is told how many bytes have been read, after each text.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    reservoir = Reservoir(max_bytes)
    for text in texts:
        reservoir.add(text)
        if on_read is not None:
            on_read(reservoir.n_read)
    return reservoir.sample()


def sample_texts(
    texts: Iterable[str], max_bytes: int, on_read: Callable[[int], None] | None = None
) -> tuple[list[str], bool]:
    """The texts of `draw_sample`, and whether anything was left out."""
    sample = draw_sample(texts, max_bytes, on_read)
    return list(sample.texts), sample.sampled


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces of some 16,384 characters, if it is longer than that."""
    start = 0
    while len(text) - start > _CHUNK + _REACH:
        wanted = start + _CHUNK
        match = WORD_END.search(text, wanted, wanted + _REACH)
        end = match.start() if match else wanted
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
