"""Where one character as a reader sees it ends: a family emoji is seven code points, é may be two.

These are Unicode's extended grapheme clusters (UAX #29) but for the conjuncts of Indic scripts and
the signs before Arabic numbers, which stay in two, and the vowel signs of Myanmar, which stay
joined.
"""

import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"
_EXTENDING = {  # what belongs to the character before it, besides the marks (categories M*)
    _JOINER,
    "\u200c",
    *"\u0e33\u0eb3\uff9e\uff9f",  # am of Thai and Lao, voicing marks of narrow kana
    *map(chr, range(0x1F3FB, 0x1F400)),  # skin tones
    *map(chr, range(0xE0020, 0xE0080)),  # tags of regional flags
}


def is_boundary(text: str, at: int, flag_letters: int | None = None) -> bool:
    """Whether a character ends before `text[at]`; it always does at both ends of the text.

    `flag_letters` is how many stand in a row right before it. Who goes through a text knows that:
    else all of them are looked at again for each.
    """
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return (before, after) != ("\r", "\n")
    if _is_control(before) or _is_control(after):
        return True
    if after in _EXTENDING or unicodedata.category(after).startswith("M"):
        return False
    if before == _JOINER:
        return not (_is_pictograph(after) and _is_pictograph(_base(text, at - 1)))
    if is_flag_letter(before) and is_flag_letter(after):
        letters = _flag_letters_before(text, at) if flag_letters is None else flag_letters
        return letters % 2 == 0
    return not _joins_hangul(before, after)


def characters(text: str) -> Iterator[str]:
    """The characters one after the other, each as its code points."""
    begin, flag_letters = 0, 0
    for n, char in enumerate(text):
        if n and is_boundary(text, n, flag_letters):
            yield text[begin:n]
            begin = n
        flag_letters = flag_letters + 1 if is_flag_letter(char) else 0
    if text:
        yield text[begin:]


def _is_control(char: str) -> bool:
    """Whether nothing joins it: line ends, byte order marks, signs of direction."""
    category = unicodedata.category(char)
    return category in ("Cc", "Zl", "Zp") or (category == "Cf" and char not in _EXTENDING)


def _base(text: str, at: int) -> str:
    """The last code point before `text[at]` that stands for itself."""
    while at > 1 and (text[at - 1] in _EXTENDING or unicodedata.category(text[at - 1]) == "Mn"):
        at -= 1
    return text[at - 1] if at else ""


def _is_pictograph(char: str) -> bool:
    kinds = ("So", "Sm", "Po", "Pd", "Cn")
    return char != "" and unicodedata.category(char) in kinds and not is_flag_letter(char)


def is_flag_letter(char: str) -> bool:
    """Whether it is half of a flag: a regional indicator."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flag_letters_before(text: str, at: int) -> int:
    first = at
    while first and is_flag_letter(text[first - 1]):
        first -= 1
    return at - first


def _joins_hangul(before: str, after: str) -> bool:
    """A leading consonant joins what follows, a vowel or closing consonant what precedes."""
    leading = "\u1100" <= before <= "\u115f"
    vowel, closing = "\u1160" <= after <= "\u11a7", "\u11a8" <= after <= "\u11ff"
    syllable = "가" <= before <= "힣"
    open_syllable = syllable and (ord(before) - 0xAC00) % 28 == 0
    if leading:
        return vowel or "\u1100" <= after <= "\u115f" or "가" <= after <= "힣"
    if vowel:
        return open_syllable or "\u1160" <= before <= "\u11a7"
    return closing and (syllable or "\u1160" <= before <= "\u11ff")
