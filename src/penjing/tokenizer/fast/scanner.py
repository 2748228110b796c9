r"""Where the words of a text end: the split rules as a scanner over UTF-8, without a regex engine.

Each rule's regular expression (splits.py) is an ordered choice, tried where the last word ended.
What the first character is decides which alternatives can match, so each word is read once. Where a
rule has several expressions, the ones before the last take whole classes of characters out of the
text: for the last one, a text ends in front of these.
"""

from collections.abc import Callable, Mapping
from functools import cache

from penjing.compiling.functions import c_function, inlined
from penjing.tokenizer.fast.classes import (
    ELSEWHERE,
    LETTER,
    LOWER,
    MARK,
    NEWLINE,
    NUMBER,
    SIGN,
    SPACE,
    TABLE_BYTES,
    UPPER,
)
from penjing.tokenizer.fast.memory import byte, pair
from penjing.tokenizer.fast.reading import (
    look,
    run,
    run_without,
    short_form,
    some_digits,
    spaces,
)

_BLANK, _SLASH, _A, _LETTERS = ord(" "), ord("/"), ord("a"), 26
_TO_LOWER = 0x20  # the bit by which small letters differ in ASCII
_CAPITALS, _SMALL = LETTER & ~LOWER | MARK, LETTER & ~UPPER | MARK  # in gpt4o's pattern
_WORDLY = LETTER | MARK  # in deepseek3's
_OTHER = SPACE | LETTER | NUMBER  # what punctuation is not


@inlined
def _gpt2_word(i, end, classes, taken):
    """`taken`: a class of which an expression before this one makes words of one character."""
    short = short_form(i, end, False)
    if short > i:
        return short
    kind, after = look(i, end, classes)
    if kind & taken:
        return after
    if byte(i) == _BLANK and after < end:
        next_kind, next_after = look(after, end, classes)
        if not next_kind & (SPACE | taken):
            kind, after = next_kind, next_after
    if kind & LETTER:
        return run(after, end, classes, LETTER)
    if kind & NUMBER:
        return run(after, end, classes, NUMBER)
    if kind & SPACE:
        return spaces(i, end, classes, False, False, taken)
    return run_without(after, end, classes, _OTHER)


@inlined
def _cl100k_word(i, end, classes, digits, whole_end):
    """Qwen2's rule has one digit, Llama 3's up to three; cl100k itself takes space at a text's end
    as one word."""
    kind, after = look(i, end, classes)
    if kind & LETTER:
        return run(after, end, classes, LETTER)
    if kind & NUMBER:
        return some_digits(after, end, classes, digits - 1)
    short = short_form(i, end, True)
    if short > i:
        return short
    if after < end and not kind & NEWLINE:
        next_kind, next_after = look(after, end, classes)
        if next_kind & LETTER:
            return run(next_after, end, classes, LETTER)
        if byte(i) == _BLANK and not next_kind & (SPACE | NUMBER):
            kind, after = next_kind, next_after
    if kind & SPACE:
        return spaces(i, end, classes, True, whole_end, 0)
    after = run_without(after, end, classes, _OTHER)
    return run(after, end, classes, NEWLINE)


@inlined
def _cased(i, end, classes):
    """The end of capitals and then at least one small letter at i, or i.

    Letters without case, and marks, are both: without a small letter, the last of them is it.
    """
    both = i
    kind, after = look(i, end, classes)
    while i < end and kind & _CAPITALS:
        i = after
        if kind & _SMALL:
            both = i
        if i < end:
            kind, after = look(i, end, classes)
    if i < end and kind & LOWER:
        return run(after, end, classes, _SMALL)
    return both


@inlined
def _capitals_and_small(i, end, classes):
    """The end of capitals and then small letters, one of them at least, or i."""
    word = _cased(i, end, classes)
    return word if word > i else run(i, end, classes, _CAPITALS)


def _gpt4o(i, end, classes):
    kind, after = look(i, end, classes)
    if kind & NUMBER:
        return some_digits(after, end, classes, 2)
    if kind & LETTER:
        word = _capitals_and_small(i, end, classes)
        return short_form(word, end, True)
    if after < end and not kind & NEWLINE:  # one other character may stand before a word
        word = after
        if kind & MARK:
            word = _cased(after, end, classes)
        else:
            word = _capitals_and_small(after, end, classes)
        if word > after:
            return short_form(word, end, True)
    if kind & MARK:
        return short_form(_cased(i, end, classes), end, True)
    if byte(i) == _BLANK and after < end:
        next_kind, next_after = look(after, end, classes)
        if not next_kind & _OTHER:
            kind, after = next_kind, next_after
    if kind & SPACE:
        return spaces(i, end, classes, True, False, 0)
    i = run_without(after, end, classes, _OTHER)
    while i < end and (byte(i) == _SLASH or pair(classes + 2 * byte(i)) & NEWLINE):
        i += 1
    return i


def _deepseek3(i, end, classes):
    """Numbers, and runs of Han and kana, were cut out before: a text ends there."""
    kind, after = look(i, end, classes)
    if kind & ELSEWHERE:
        classes += TABLE_BYTES
        kind, after = look(i, end, classes)
    if kind & NUMBER:
        return some_digits(after, end, classes, 2)
    if kind & _WORDLY:
        return run(after, end, classes, _WORDLY)
    if kind & SIGN and byte(i) < 0x80 and after < end and _is_latin(byte(after)):
        while after < end and _is_latin(byte(after)):
            after += 1
        return after
    if not kind & (SIGN | NEWLINE) and after < end:
        next_kind, next_after = look(after, end, classes)
        if next_kind & _WORDLY:
            return run(next_after, end, classes, _WORDLY)
        if byte(i) == _BLANK and next_kind & SIGN:
            kind, after = next_kind, next_after
    if kind & SIGN:
        after = run(after, end, classes, SIGN)
        return run(after, end, classes, NEWLINE)
    if kind & SPACE:
        return spaces(i, end, classes, True, False, NUMBER | ELSEWHERE)
    return _unmatched(after, end, classes)


@inlined
def _unmatched(i, end, classes):
    """The end of characters that no alternative matches: controls that stand before no word."""
    while i < end:
        kind, after = look(i, end, classes)
        if kind & (_WORDLY | SIGN | SPACE | NUMBER | ELSEWHERE):
            break
        if after < end and look(after, end, classes)[0] & _WORDLY:
            break
        i = after
    return i


@inlined
def _is_latin(letter):
    return 0 <= (letter | _TO_LOWER) - _A < _LETTERS


def _gpt2(i, end, classes):
    return _gpt2_word(i, end, classes, 0)


def _smollm(i, end, classes):
    return _gpt2_word(i, end, classes, NUMBER)


def _qwen2(i, end, classes):
    return _cl100k_word(i, end, classes, 1, False)


def _llama3(i, end, classes):
    return _cl100k_word(i, end, classes, 3, False)


def _cl100k(i, end, classes):
    return _cl100k_word(i, end, classes, 3, True)


# Where the word that begins at i ends: for all of SPLITS, and tiktoken's own form of cl100k.
RULES: Mapping[str, Callable[[int, int, int], int]] = {
    "gpt2": _gpt2,
    "smollm": _smollm,
    "qwen2": _qwen2,
    "llama3": _llama3,
    "gpt4o": _gpt4o,
    "deepseek3": _deepseek3,
    "cl100k": _cl100k,
}


@cache
def word_end(rule: str) -> int:
    """The address of the rule's scanner, which is compiled when it is first asked for."""
    return c_function(RULES[rule], integers=3, asked=True)
