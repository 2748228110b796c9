"""A bounded part of a text of any length: every byte has the same chance to be in it."""

import heapq
import random

_PIECE = 2**13  # characters: long texts are drawn in such pieces


class TextSample:
    """Pieces of the texts that it was shown, of at most `max_bytes` of UTF-8 in all.

    Every piece draws a number, the same each time, and those with the smallest stay: a text that
    fits is kept whole.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._draw = random.Random(0).random
        self._kept: list[tuple[float, int, int, str]] = []  # the largest number, negated, on top
        self._bytes = 0
        self._number = 0
        self._limit = 1.0  # numbers above it are not wanted any more

    def add(self, text: str) -> None:
        """The next text, or part of one."""
        for begin in range(0, len(text), _PIECE):
            self._number += 1
            number = self._draw()
            if number > self._limit:
                continue
            piece = text[begin : begin + _PIECE]
            n_bytes = len(piece.encode("utf-8"))
            heapq.heappush(self._kept, (-number, self._number, n_bytes, piece))
            self._bytes += n_bytes
            while self._bytes > self._max and len(self._kept) > 1:
                dropped = heapq.heappop(self._kept)
                self._bytes -= dropped[2]
                self._limit = -dropped[0]

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def texts(self) -> list[str]:
        """The pieces, in their order."""
        return [piece for _, _, _, piece in sorted(self._kept, key=lambda entry: entry[1])]
