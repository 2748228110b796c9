r"""Unicode classes of all characters, as the regular expressions of `tokenizers` know them.

Each release of Unicode makes letters of what was nothing, and the release differs between engines.
So the classes are asked of the engine that the words must agree with.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, pre_tokenizers

UPPER, LOWER, UNCASED, MARK, NUMBER, SPACE, SIGN = (1 << i for i in range(7))
NEWLINE = 1 << 7  # \r and \n, which are SPACE too
HAN = 1 << 8  # \p{Han}: letters, numbers and signs
ELSEWHERE = 1 << 9  # cut off by an earlier expression of the rule: a text ends in front of it
LETTER = UPPER | LOWER | UNCASED
TABLE_BYTES = 2 * 0x110000  # from one table of classes to the next

_CLASSES = {  # disjoint
    UPPER: r"[\p{Lu}\p{Lt}]",
    LOWER: r"\p{Ll}",
    UNCASED: r"[\p{Lm}\p{Lo}]",
    MARK: r"\p{M}",
    NUMBER: r"\p{N}",
    SPACE: r"\s",
    SIGN: r"[\p{P}\p{S}]",
}
# No other planes of Unicode have, or will have, characters of these classes.
_ASSIGNED = (range(0xD800), range(0xE000, 0x34000), range(0xE0000, 0xE1000))
_BLOCK = 1 << 12  # characters that are matched at once: the engine takes much memory for each
_HAN_AND_KANA = (range(0x3040, 0x3100), range(0x4E00, 0x9FA6))


@cache
def classes_for(rule: str) -> NDArray[np.uint16]:
    """The classes of each code point, as bits, for a rule of the scanner. (tables, 0x110000)

    DeepSeek's rule first cuts out runs of Han and kana, and then cuts these as all the rest. It has
    a second table: that of the runs, to which all else is elsewhere.
    """
    classes = _unicode_classes()[None]
    if rule == "deepseek3":
        inside = np.zeros(classes.shape[1], bool)
        for area in _HAN_AND_KANA:
            inside[area.start : area.stop] = True
        elsewhere = classes & HAN | ELSEWHERE
        classes = np.where([inside, ~inside], elsewhere, classes).astype(np.uint16)
    classes.flags.writeable = False
    return classes


@cache
def _unicode_classes() -> NDArray[np.uint16]:
    classes = np.zeros(0x110000, np.uint16)
    runs = _runs("|".join(f"{each}+" for each in _CLASSES.values()))  # each of one class
    firsts = "".join(chr(begin) for begin, _ in runs)
    for kind, pattern in _CLASSES.items():
        for run, _ in _matches(_splitter(pattern), firsts):
            begin, end = runs[run]
            classes[begin:end] = kind
    for begin, end in _runs(r"\p{Han}+"):
        classes[begin:end] |= HAN
    classes[[0x0A, 0x0D]] |= NEWLINE
    return classes


def _runs(pattern: str) -> list[tuple[int, int]]:
    """Where the pattern matches among all characters: the first one, and behind the last one."""
    splitter, runs = _splitter(pattern), []
    for area in _ASSIGNED:
        for start in range(area.start, area.stop, _BLOCK):
            text = "".join(map(chr, range(start, min(start + _BLOCK, area.stop))))
            runs += [(start + begin, start + end) for begin, end in _matches(splitter, text)]
    return runs


def _splitter(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)


def _matches(splitter: pre_tokenizers.PreTokenizer, text: str) -> list[tuple[int, int]]:
    return [span for _, span in splitter.pre_tokenize_str(text)]
