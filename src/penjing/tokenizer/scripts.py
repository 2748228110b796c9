"""What a text is written in: the script of each character, or what kind of sign it is.

A letter's script is taken from its Unicode name ("CYRILLIC SMALL LETTER A"), so that every script
is known, and no table of ranges is needed. Other characters are digits, punctuation, and so on.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DIGITS, PUNCTUATION, SYMBOLS, EMOJI = "digits", "punctuation", "symbols", "emoji"
SPACES, CONTROLS, OTHER = "spaces", "controls", "other"
SIGNS = frozenset({DIGITS, PUNCTUATION, SYMBOLS, EMOJI, SPACES, CONTROLS, OTHER})
# Scripts whose words are not set apart by spaces.
UNSPACED = frozenset(
    {"Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"}
)

_LIKE_THE_ONE_BEFORE = "before"  # accents, variation selectors, joiners
_KINDS = {"N": DIGITS, "P": PUNCTUATION, "S": SYMBOLS, "Z": SPACES}  # by general category
_NAMES = {  # the first word of a Unicode name, where it is not the script's own
    "CJK": "Han",
    "KANGXI": "Han",
    "IDEOGRAPHIC": "Han",
    "HANGZHOU": "Han",
    "VERTICAL": "Han",
    "HENTAIGANA": "Hiragana",
    "KATAKANA-HIRAGANA": "Katakana",
    "FEMININE": "Latin",
    "MASCULINE": "Latin",
    "KELVIN": "Latin",
    "ANGSTROM": "Latin",
    "MODIFIER": "Latin",  # of phonetic writing; those of other scripts name these later on
    "ROMAN": "Latin",
    "SUPERSCRIPT": "Latin",
    "TURNED": "Latin",
    "CARON": "Latin",
    "OHM": "Greek",
    "MICRO": "Greek",
    "MATHEMATICAL": SYMBOLS,
    "DOUBLE-STRUCK": SYMBOLS,
    "SCRIPT": SYMBOLS,
    "BLACK-LETTER": SYMBOLS,
    **dict.fromkeys(("PLANCK", "EULER", "INFORMATION"), SYMBOLS),
    **dict.fromkeys(("ALEF", "BET", "GIMEL", "DALET"), SYMBOLS),  # of sets and their sizes
}
_WIDTHS = {"FULLWIDTH", "HALFWIDTH"}  # stand before the name
_PICTURES = ((0x2600, 0x27BF), (0x1F000, 0x1FAFF))  # blocks of emoji


def scripts_of(text: str) -> tuple[NDArray[np.intp], Sequence[str]]:
    """The script of each character of a text, as a place in the list of names that comes with it.

    "Han", "Latin", "Cyrillic", ... for letters; for other characters one of `SIGNS`. An accent or a
    joiner is of the script of the character before it; "other" where there is none.

    Shapes: (characters,), and as many names as the text has scripts and kinds of signs.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    distinct, place = np.unique(codes, return_inverse=True)
    found = [_script(chr(code)) for code in distinct.tolist()]
    names = sorted({OTHER, *found} - {_LIKE_THE_ONE_BEFORE})
    numbers = {name: n for n, name in enumerate(names)} | {_LIKE_THE_ONE_BEFORE: -1}
    scripts = np.array([numbers[name] for name in found], np.intp)[place]
    if -1 in scripts:
        own = np.where(scripts >= 0, np.arange(len(scripts)), -1)
        last = np.maximum.accumulate(own)  # of the characters up to here that have one themselves
        scripts = np.where(last >= 0, scripts[last], numbers[OTHER])
    return scripts, names


@lru_cache(maxsize=1 << 16)
def _script(char: str) -> str:
    category = unicodedata.category(char)
    if char in "\t\n\v\f\r\x85":
        return SPACES
    if category[0] in "LM" or category == "Nl":
        return _named(unicodedata.name(char, ""), category)
    if char in "\u200c\u200d":  # zero-width joiner and non-joiner, of emoji and of Persian
        return _LIKE_THE_ONE_BEFORE
    if category[0] == "S" and any(first <= ord(char) <= last for first, last in _PICTURES):
        return EMOJI
    return CONTROLS if category in ("Cc", "Cf") else _KINDS.get(category[0], OTHER)


def _named(name: str, category: str) -> str:
    """By the name of a letter, of a mark, or of a number that is written as a letter."""
    words = name.split()
    first = next((word for word in words if word not in _WIDTHS), "")
    if category[0] == "M" and first in ("COMBINING", "VARIATION", "ENCLOSING"):
        return _LIKE_THE_ONE_BEFORE
    if first == "MODIFIER":
        first = next((word for word in words if word in ("GREEK", "CYRILLIC", "GEORGIAN")), first)
    script = _NAMES.get(first, first.capitalize() or OTHER)
    return DIGITS if category == "Nl" and script != "Han" else script
