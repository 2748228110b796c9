"""The distinct words of a text as numbers of characters, all in one row."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from penjing.tokenizer.config import HanRule, SplitName
from penjing.tokenizer.fast.words import count_words

Ints = NDArray[np.int64]


def row_of_words(texts: Iterable[str], split: SplitName, han: HanRule) -> tuple[str, Ints, Ints]:
    """The words of a split rule, long ones cut as in training.

    Returns:
        all distinct words in a row; where each ends in it; how often it occurs.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    words = count_words(texts, split, han)
    begins = np.cumsum((words.text & 0xC0) != 0x80)  # bytes that begin a character, up to each
    return words.text.tobytes().decode("utf-8"), begins[words.starts[1:] - 1], words.counts


def numbered(
    row: str, ends: Ints, counts: Ints, alphabet: Sequence[str]
) -> tuple[NDArray[np.int32], Ints, Ints]:
    """The characters by their numbers in the alphabet; any other character parts two words.

    Returns:
        the numbers, (n_characters,); where each word ends, (n_words,); how often it occurs.
    """
    number = np.full(0x110000, -1, np.int32)
    number[list(map(ord, alphabet))] = np.arange(len(alphabet))
    numbers = number[np.frombuffer(row.encode("utf-32-le"), np.uint32)]
    known = numbers >= 0
    is_last = np.zeros(len(numbers), dtype=bool)
    is_last[ends - 1] = True
    is_last |= ~np.append(known[1:], False)
    is_last &= known
    of_word = np.repeat(counts, np.diff(ends, prepend=0))
    return numbers[known], np.flatnonzero(is_last[known]) + 1, of_word[is_last]
