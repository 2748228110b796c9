"""DRY, "don't repeat yourself": what would continue a repeated sequence becomes less likely.

Where a single-token penalty also punishes "the" and "," for being common, DRY looks for the end of
the text elsewhere in it, and weakens only the tokens that would make that repeat still longer, the
more the longer it is. From text-generation-webui (p-e-w 2024); the details are llama.cpp's.
"""

import math
from collections.abc import Sequence

import numpy as np

from penjing.generate.sampling.draw import Ids
from penjing.generate.sampling.penalties import Counts
from penjing.kernels.scores import Logits
from penjing.tokenizer.tokenizer import Tokenizer

_LOG_MAX = math.log(np.finfo(np.float32).max)


def dry(
    logits: Logits, ids: Ids, repeats: Counts, multiplier: float, base: float, allowed: int
) -> Logits:
    """Subtract multiplier * base ** (repeat - allowed) from the logits of `ids` (n,).

    `repeats` (n,), from `allowed` to `longest`: how many tokens are already repeated where each of
    them would be the next one.
    """
    penalty = multiplier * base ** (repeats - float(allowed))
    weaker = logits.copy()
    weaker[ids] -= penalty.astype(np.float32)
    return weaker


def longest(base: float, allowed: int) -> int:
    """The longest repeat that is told from shorter ones: beyond it the penalty would overflow."""
    return allowed + (min(int(_LOG_MAX / math.log(base)), 1 << 30) if base > 1 else 0)


def find_repeats(text: Counts, allowed: int, limit: int) -> tuple[Ids, Counts]:
    """Tokens that would continue a repeat of the text's end, and its length as it stands.

    `text` (T,) are ids. The end of the text is looked for in it, up to its `limit` last tokens;
    what matches in at least `allowed` of them counts, and of several matches the longest.
    """
    if limit < allowed or len(text) < 2:
        return np.empty(0, np.intp), np.empty(0, np.int32)
    last = len(text) - 1
    ends = np.flatnonzero(text[:-1] == text[last])  # where a repeat may end
    lengths = np.ones(len(ends), np.int32)
    growing = np.arange(len(ends))
    for back in range(1, limit):
        at = ends[growing] - back
        growing = growing[(at >= 0) & (text[at] == text[last - back])]
        if not len(growing):
            break
        lengths[growing] += 1
    enough = lengths >= allowed
    ids, where = np.unique(text[ends[enough] + 1], return_inverse=True)
    most = np.zeros(len(ids), np.int32)
    np.maximum.at(most, where, lengths[enough])
    return ids.astype(np.intp), most


class Breaks:
    """How far back the last sequence breaker lies: a line feed, a colon; no repeat reaches over it.

    Breakers are looked for in the bytes of the text, so they may span tokens or be part of one.
    """

    def __init__(self, tokenizer: Tokenizer, breakers: Sequence[str], text: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._breakers = [breaker.encode("utf-8") for breaker in breakers]
        self._longest = max(map(len, self._breakers), default=1)
        self._tail = b""  # the last bytes, where a breaker may have begun
        self.since = 0  # tokens after the last breaker
        for id in text:
            self.add(id)

    def add(self, id: int) -> None:
        """One more token of the text."""
        raw = self._tokenizer.token_bytes(id)
        self.since = 0 if self._ends_one(raw) else self.since + 1
        self._tail = (self._tail + raw)[-self._longest :]

    def is_breaker(self, id: int) -> bool:
        """Whether a breaker lies within this token: such a one is never weakened."""
        raw = self._tokenizer.token_bytes(id)
        return any(breaker in raw for breaker in self._breakers)

    def fork(self) -> "Breaks":
        """The same place, which goes on by itself."""
        twin = Breaks(self._tokenizer, (), ())
        twin._breakers, twin._longest = self._breakers, self._longest
        twin._tail, twin.since = self._tail, self.since
        return twin

    def _ends_one(self, raw: bytes) -> bool:
        """Whether a breaker ends within `raw`, which comes next."""
        return any(
            breaker in self._tail[max(0, len(self._tail) - len(breaker) + 1) :] + raw
            for breaker in self._breakers
        )
