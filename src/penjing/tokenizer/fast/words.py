"""The distinct words of a corpus and how often each occurs: what byte-pair merges are learned from.

The words are those of the split rule, with long words and Han runs cut further as in training
(`training_splitter` in splits.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.calling import ask
from penjing.compiling.functions import entry, inlined
from penjing.tokenizer.config import HanRule, SplitName
from penjing.tokenizer.fast.batches import Batch, batches_of
from penjing.tokenizer.fast.classes import HAN, classes_for
from penjing.tokenizer.fast.memory import PADDING, address, byte
from penjing.tokenizer.fast.reading import look
from penjing.tokenizer.fast.scanner import word_end
from penjing.tokenizer.fast.strings import find, move_slots, slot_of
from penjing.tokenizer.splits import HAN_PIECE, WORD_PIECE

_HAN_RULES: dict[HanRule, int] = {"run": 0, "char": 1}
_HAN_CHAR = _HAN_RULES["char"]
_FIRST_HAN_BYTE = 0xE2  # no Han character begins with a smaller one
_CHARACTERS = 1 << 20  # counted in one call
_LONGEST = 4 * (WORD_PIECE + HAN_PIECE)  # bytes of a word
_GROWTH = 1.5

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class Words:
    """Distinct words, in order of first occurrence."""

    text: NDArray[np.uint8]  # all words' bytes, one behind the other
    starts: NDArray[np.int64]  # (n + 1,): word i is text[starts[i]:starts[i + 1]]
    counts: NDArray[np.int64]  # (n,)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int) -> bytes:
        return self.text[self.starts[index] : self.starts[index + 1]].tobytes()


def count_words(texts: Iterable[str], split: SplitName, han: HanRule) -> Words:
    """Count the words of all texts; no word spans two of them.

    Takes some 40 bytes of memory for each distinct word besides its own.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    counter = _Counter(split, han)
    for batch in batches_of(texts, _CHARACTERS):
        counter.add(batch)
    return counter.words()


class _Counter:
    """A hash table of words that grows as they come."""

    def __init__(self, split: SplitName, han: HanRule) -> None:
        self._rules = word_end(split), _HAN_RULES[han]
        self._classes = classes_for(split)
        self._text = np.zeros(1 << 16, np.uint8)
        self._starts = np.zeros(1 << 12, np.int64)
        self._counts = np.zeros(1 << 12, np.int64)
        self._slots = np.zeros(1 << 13, np.uint64)
        self._n = 0

    def add(self, batch: Batch) -> None:
        """Count a batch. When the compiled loop finds no room, it returns and is called again."""
        at = np.zeros(3, np.int64)  # where it stopped: text, place, end of the word there
        while at[0] < len(batch.ends):
            self._n = _count(
                batch.data,
                batch.ends,
                at,
                self._classes,
                *self._rules,
                self._text,
                self._starts,
                self._counts,
                self._slots,
                self._n,
            )
            if at[0] < len(batch.ends):
                self._grow()

    def words(self) -> Words:
        """What was counted."""
        starts = self._starts[: self._n + 1]
        return Words(self._text[: starts[-1]], starts, self._counts[: self._n])

    def _grow(self) -> None:
        """Make room for what is short of it."""
        if self._starts[self._n] + _LONGEST + PADDING > len(self._text):
            self._text = _longer(self._text)
        if self._n + 1 >= len(self._starts):
            self._starts, self._counts = _longer(self._starts), _longer(self._counts)
        if 3 * self._n >= 2 * len(self._slots):
            slots = np.zeros(2 * len(self._slots), np.uint64)
            move_slots(self._slots, slots)
            self._slots = slots


def _longer(array: NDArray[_Number]) -> NDArray[_Number]:
    longer = np.zeros(int(len(array) * _GROWTH), array.dtype)
    longer[: len(array)] = array
    return longer


@inlined
def _piece_end(i, end, classes, han):
    """Where the first piece of the word from i to `end` ends, cut as in training."""
    plain = end - i <= WORD_PIECE
    for j in range(i, end):
        if byte(j) >= _FIRST_HAN_BYTE or not plain:
            plain = False
            break
    if plain:
        return end
    start, left = i, WORD_PIECE
    while i < end and left > 0:
        kind, after = look(i, end, classes)
        if kind & HAN:
            break
        i = after
        left -= 1
    left = HAN_PIECE
    if han == _HAN_CHAR:
        left = 1 if i == start else 0
    while i < end and left > 0:
        kind, after = look(i, end, classes)
        if not kind & HAN:
            break
        i = after
        left -= 1
    return i


@entry
def _count(data, ends, at, classes, scanner, han, text, starts, counts, slots, n):
    """Count words from `at` on, as far as there is room -> how many distinct ones there are now."""
    begin, classes_at = address(data), address(classes)
    text_at, starts_at, slots_at = address(text), address(starts), address(slots)
    which, i, word = at
    while which < len(ends):
        while i < ends[which]:
            if i == word:
                word = ask(scanner, (begin + i, begin + ends[which], classes_at)) - begin
            if (
                starts[n] + _LONGEST + PADDING > len(text)
                or n + 1 >= len(starts)
                or 3 * n >= 2 * len(slots)
            ):
                at[0], at[1], at[2] = which, i, word
                return n
            length = _piece_end(begin + i, begin + word, classes_at, han) - begin - i
            found, hashed, place = find(
                text_at, starts_at, slots_at, len(slots) - 1, begin + i, length
            )
            if found >= 0:
                counts[found] += 1
            else:
                for j in range(length):
                    text[starts[n] + j] = data[i + j]
                starts[n + 1] = starts[n] + length
                counts[n] = 1
                n += 1
                slots[place] = slot_of(hashed, n - 1)
            i += length
        which += 1
    at[0] = which
    return n
