"""Text as a terminal can show it."""

import re
import unicodedata

# What a terminal obeys instead of showing: a byte-level model can write an escape sequence, and
# so can whoever named a file.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    r"""The text with control characters spelled out, as `\x1b`; tabs and line feeds stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def safe_json(text: str) -> str:
    r"""JSON with those control characters as `\u009b` that it may hold as they are."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def indented(text: str, margin: str = "  ") -> str:
    """Every line behind a margin, so that a sample is seen to be one."""
    return "\n".join(margin + line for line in text.splitlines())


def text_width(text: str) -> int:
    """Columns of a terminal: a wide character takes two, a combining one none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text and as many spaces as make it `width` columns wide; set flush right if asked."""
    room = " " * (width - text_width(text))
    return room + text if right else text + room
