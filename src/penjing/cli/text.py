"""Text as a terminal can show it."""

import re

# What a terminal obeys instead of showing: a byte-level model can write an escape sequence, and
# so can whoever named a file.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    r"""The text with control characters spelled out, as `\x1b`; tabs and line feeds stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def one_line(text: str) -> str:
    r"""The same, with tabs and line feeds spelled out as well, as `\t` and `\n`."""
    return safe(text.replace("\n", "\\n").replace("\t", "\\t"))


def safe_json(text: str) -> str:
    r"""JSON with those control characters as `\u009b` that it may hold as they are."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def indented(text: str, margin: str = "  ") -> str:
    """Every line behind a margin, so that a sample is seen to be one."""
    return "\n".join(margin + line for line in text.splitlines())
