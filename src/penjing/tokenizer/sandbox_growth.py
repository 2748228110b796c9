"""How large a value is, and how large one would become: sizes in characters, before it is made."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

Growth = Callable[..., int]

_BITS = 4096  # of an integer
_WIDTH = 10_000  # of a field, an indentation, a padding
_MANY_DIGITS = re.compile(r"\d{4}")


def size_of(value: Any, limit: int, *, indent: int = 0) -> int:
    """The characters that a value has when it is written out; more than `limit` are not counted.

    A list that holds another one twice counts it twice.

    Raises:
        SecurityError: bytes, or a number with thousands of digits.
    """
    left = limit
    waiting = [(value, 1)]
    while waiting and left >= 0:
        each, depth = waiting.pop()
        left -= 2 + indent * depth
        if isinstance(each, str):
            left -= len(each)
        elif isinstance(each, int):
            if each.bit_length() > _BITS:
                raise SecurityError("a number is too large")
            left -= each.bit_length() // 3
        elif isinstance(each, float):
            left -= 24
        elif isinstance(each, Mapping):
            waiting += ((part, depth + 1) for pair in each.items() for part in pair)
        elif isinstance(each, list | tuple | set | frozenset):
            if len(each) > left:
                return limit + 1
            waiting += ((part, depth + 1) for part in each)
        elif isinstance(each, Namespace):
            left -= len("<Namespace >")
            waiting.append((object.__getattribute__(each, "_Namespace__attrs"), depth + 1))
        elif isinstance(each, bytes | bytearray):
            raise SecurityError("bytes are not allowed")
    return limit - left


def _length(value: Any) -> int:
    return size_of(value, 1 << 40)


def _width(value: Any) -> int:
    """A number of characters or places that a template asks for."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int | float) and abs(value) > _WIDTH:
        raise SecurityError(f"a width of {value!r:.20}")
    return int(value) if isinstance(value, int | float) else 0


def _same(left: Any, right: Any) -> int:
    return 0


# The parameters have the names that Jinja and Python give them: a template may use these.


def _padded(value: Any, width: Any = 80, fillchar: Any = " ") -> int:
    return _length(value) + abs(_width(width))


def _truncated(
    s: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = None
) -> int:
    return _length(s) + _length(end)


def _indented(s: Any, width: Any = 4, first: Any = False, blank: Any = False) -> int:
    return _length(s) + (str(s).count("\n") + 2) * _width(width)


def _replaced(s: Any, old: Any, new: Any, count: Any = None) -> int:
    text = str(s)
    return len(text) + text.count(str(old)) * _length(new)


def _joined(value: Any, d: Any = "", attribute: Any = None) -> int:
    return _length(value) + len(value) * _length(d)


def _joined_by(separator: str, values: Any) -> int:
    if not isinstance(values, list | tuple | str | Mapping):
        raise SecurityError("the method 'join' takes a list; use the filter `join`")
    return _joined(values, separator)


def _batched(value: Any, linecount: Any, fill_with: Any = None) -> int:
    return _length(value) + abs(_width(linecount)) * 8


def _sliced(value: Any, slices: Any, fill_with: Any = None) -> int:
    return _length(value) + abs(_width(slices)) * 8


def _rounded(value: Any, precision: Any = 0, method: Any = "common") -> int:
    if isinstance(precision, int | float) and abs(precision) > 100:
        raise SecurityError("a precision of more than 100 digits")
    return 0


def _json(
    value: Any,
    ensure_ascii: Any = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: Any = False,
) -> int:
    between = max(map(_length, separators or ()), default=0)
    return 6 * size_of(value, 1 << 40, indent=_width(indent) + between)


def _formatted(text: Any, *args: Any, **kwargs: Any) -> int:
    """`"...".format(...)`, `|format` and `%`: fields whose widths are small and stand there."""
    pattern = str(text)
    if _MANY_DIGITS.search(pattern) or re.search(r"\{[^{}]+\{|%[^a-zA-Z%]*\*", pattern):
        raise SecurityError("a format with such a width")
    fields = pattern.count("{") + pattern.count("%")
    widest = max((_length(each) for each in (*args, *kwargs.values())), default=0)
    return len(pattern) + fields * (1000 + 4 * widest)


def _times(left: Any, right: Any) -> int:
    for sequence, number in ((left, right), (right, left)):
        if isinstance(sequence, str | list | tuple) and isinstance(number, int):
            return int(_length(sequence) * max(0, number))
    if isinstance(left, int) and isinstance(right, int):
        _refuse_bits(left.bit_length() + right.bit_length())
    return 0


def _power(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        _refuse_bits(left.bit_length() * max(0, right))
    return 0


def _refuse_bits(bits: int) -> None:
    if bits > _BITS:
        raise SecurityError("a number is too large")


def _plus(left: Any, right: Any) -> int:
    if isinstance(left, str | list | tuple):
        return _length(left) + _length(right)
    return 0


def _percent(left: Any, right: Any) -> int:
    return _formatted(left, right) if isinstance(left, str) else 0


# Of each operator, filter and method that may make much of little: the size of what it would make.
OPERATORS: dict[str, Growth] = {
    "+": _plus,
    "-": _same,
    "*": _times,
    "/": _same,
    "//": _same,
    "%": _percent,
    "**": _power,
}
GROWTH: dict[str, Growth] = {
    "batch": _batched,
    "center": _padded,
    "format": _formatted,
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "round": _rounded,
    "slice": _sliced,
    "tojson": _json,
    "truncate": _truncated,
}
METHODS: dict[str, Growth | None] = {
    **dict.fromkeys(("capitalize", "casefold", "count", "endswith", "find", "index"), None),
    **dict.fromkeys(("isalnum", "isalpha", "isascii", "isdecimal", "isdigit"), None),
    **dict.fromkeys(("islower", "isnumeric", "isspace", "istitle", "isupper"), None),
    **dict.fromkeys(("lower", "lstrip", "partition", "removeprefix", "removesuffix"), None),
    **dict.fromkeys(("rfind", "rindex", "rpartition", "rsplit", "rstrip", "split"), None),
    **dict.fromkeys(("splitlines", "startswith", "strip", "swapcase", "title", "upper"), None),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    "expandtabs": lambda text, tabsize=8: len(text) + text.count("\t") * _width(tabsize),
    "join": _joined_by,
    "replace": _replaced,
}
