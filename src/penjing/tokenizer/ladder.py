"""Byte-pair encoding, merge by merge: the ladder from bytes or characters to a token.

Of all neighbours in a word, those two are joined whose pair was merged first in training, and so on
until no two neighbours are a merge. What becomes one token can be told from the token alone: no
merge reached beyond it, so those within it were made just as if it stood by itself.
Source: Sennrich et al., 2016.
"""

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penjing.tokenizer.facts import merges_of

BYTE_FALLBACK = re.compile(r"<0x[0-9A-F]{2}>")  # SentencePiece's name for one byte
Pair = tuple[str, str]


@dataclass(frozen=True)
class Merge:
    """One rung: two tokens became one."""

    rank: int  # of the pair among all merges; 0 is the first that training made
    left: str  # tokens as the vocabulary writes them
    right: str
    result: str
    count: int | None  # how often the pair stood in the training text then; None: not noted
    at: int  # the symbol with which the left one begins


@dataclass(frozen=True)
class Ladder:
    """How one token was built."""

    token: str
    symbols: tuple[str, ...]  # what it began with: bytes or characters
    merges: tuple[Merge, ...]  # in the order in which they are made
    whole: bool  # no merges lead to it: it is taken when a word is just this token

    def states(self) -> Iterator[tuple[str, ...]]:
        """Its parts: at first the symbols, then what they are after each merge."""
        parts = dict(enumerate(self.symbols))
        yield tuple(parts.values())
        for merge in self.merges:
            places = list(parts)
            del parts[places[places.index(merge.at) + 1]]
            parts[merge.at] = merge.result
            yield tuple(parts.values())


class MergeTable:
    """The merges of a BPE model, by pair.

    Args:
        model: the "model" of a tokenizer.json.
        counts: for each merge, by rank, how often its pair stood in the training text.
    """

    def __init__(self, model: Mapping[str, Any], counts: Sequence[int] | None = None) -> None:
        self._rank: dict[Pair, int] = {pair: rank for rank, pair in enumerate(merges_of(model))}
        self._counts = counts
        self._unknown = model.get("unk_token")
        self._falls_back = bool(model.get("byte_fallback"))
        # Of all symbols but a word's first, and of its last.
        self._prefix: str = model.get("continuing_subword_prefix") or ""
        self._suffix: str = model.get("end_of_word_suffix") or ""
        self._known: dict[str, Ladder] = {}

    def __len__(self) -> int:
        return len(self._rank)

    def ladder(self, token: str) -> Ladder:
        """How a token is built."""
        if token not in self._known:
            symbols = self._symbols(token)
            merges, left = self._climb(symbols)
            self._known[token] = Ladder(token, symbols, merges, whole=left > 1)
        return self._known[token]

    def _symbols(self, token: str) -> tuple[str, ...]:
        if token == self._unknown or (self._falls_back and BYTE_FALLBACK.fullmatch(token)):
            return (token,)
        continues = bool(self._prefix) and token.startswith(self._prefix)
        chars = token.removeprefix(self._prefix if continues else "")
        ends = self._suffix if len(chars) > len(self._suffix) else ""
        ends = ends if chars.endswith(ends) else ""
        chars = chars.removesuffix(ends)
        return tuple(
            (self._prefix if n or continues else "") + char + (ends if n + 1 == len(chars) else "")
            for n, char in enumerate(chars)
        )

    def _climb(self, symbols: Sequence[str]) -> tuple[tuple[Merge, ...], int]:
        """All merges of a word, the earliest pair first and of equals the leftmost, and how many
        tokens are left."""
        parts = dict(enumerate(symbols))
        after = {at: at + 1 for at in parts}
        before = {at: at - 1 for at in parts}
        heap: list[tuple[int, int]] = []

        def offer(at: int) -> None:
            """Note the pair that begins there, if it is a merge."""
            if at in parts and after[at] in parts:
                rank = self._rank.get((parts[at], parts[after[at]]))
                if rank is not None:
                    heapq.heappush(heap, (rank, at))

        for at in parts:
            offer(at)
        merges = []
        while heap:
            rank, at = heapq.heappop(heap)
            right_at = after.get(at, -1)
            if at not in parts or right_at not in parts:
                continue
            left, right = parts[at], parts[right_at]
            if self._rank.get((left, right)) != rank:  # one of the two is part of another by now
                continue
            parts[at] = result = left + right.removeprefix(self._prefix)
            del parts[right_at]
            after[at] = after[right_at]
            before[after[at]] = at
            merges.append(Merge(rank, left, right, result, self._count(rank), at))
            offer(before[at])
            offer(at)
        return tuple(merges), len(parts)

    def _count(self, rank: int) -> int | None:
        return None if self._counts is None else self._counts[rank]
