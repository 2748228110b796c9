"""A bounded part of a text of any length, to learn merges from."""

import heapq
import random
from collections.abc import Callable, Iterable

from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.splits import ANYWHERE, cut

_CHUNK = 1 << 14  # characters: long texts are drawn in such pieces


def sample_texts(
    texts: Iterable[str], max_bytes: int, on_read: Callable[[int], None] | None = None
) -> tuple[list[str], bool]:
    """Pieces of the texts, in their order, of at most `max_bytes` of UTF-8 (but at least one).

    Returns them, and whether anything was left out.

    One pass in bounded memory: every piece draws a number, and those with the smallest stay. The
    numbers are the same each time, and a text that fits is kept whole. `on_read` is told how many
    bytes have been read, after each text.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    draw = random.Random(0).random
    kept: list[tuple[float, int, int, str]] = []  # a heap: the largest number (negated) on top
    n_kept = n_read = number = 0
    for text in texts:
        require_unicode(text)
        for piece in cut(text, _CHUNK, ANYWHERE):
            n_bytes = len(piece.encode("utf-8"))
            heapq.heappush(kept, (-draw(), number, n_bytes, piece))
            number += 1
            n_read += n_bytes
            n_kept += n_bytes
            while n_kept > max_bytes and len(kept) > 1:
                n_kept -= heapq.heappop(kept)[2]
        if on_read is not None:
            on_read(n_read)
    kept.sort(key=lambda entry: entry[1])
    return [piece for _, _, _, piece in kept if piece], n_kept < n_read
