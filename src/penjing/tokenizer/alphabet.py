"""Between bytes and text: GPT-2's printable byte alphabet, and text that is not valid Unicode."""

import re

from penjing.core.errors import TokenizerError

_SURROGATE = re.compile("[\ud800-\udfff]")
_SLICE = 1 << 20  # characters that are checked at once


def _gpt2_alphabet() -> str:
    """One printable character for each byte: itself where printable, else from U+0100 on.

    Source: `bytes_to_unicode` in GPT-2's encoder.py (Radford et al., 2019).
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_TO_CHAR = _gpt2_alphabet()
CHAR_TO_BYTE = {char: byte for byte, char in enumerate(BYTE_TO_CHAR)}


def from_alphabet(token: str) -> bytes:
    """The bytes that a byte-level token stands for ("Ġthe" is b" the").

    A token with any character outside the alphabet stands for itself, as in `tokenizers`.
    """
    try:
        return bytes(CHAR_TO_BYTE[char] for char in token)
    except KeyError:
        return token.encode("utf-8")


def printable(raw: bytes) -> str:
    r"""Bytes as shown to a reader: UTF-8 where it is whole, `\xE4` for a byte that is not."""
    text = raw.decode("utf-8", errors="surrogateescape")
    return _SURROGATE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02X}", text)


def require_unicode(text: str) -> None:
    """Refuse a string that no UTF-8 file can hold.

    Raises:
        TokenizerError: the text holds half of a surrogate pair.
    """
    for start in range(0, len(text), _SLICE):
        try:  # many times as fast as a search
            text[start : start + _SLICE].encode("utf-8")
        except UnicodeEncodeError as error:
            place = start + error.start
            raise TokenizerError(
                f"The text holds a lone surrogate, U+{ord(text[place]):04X}, at character "
                f"{place}: it is not valid Unicode and has no UTF-8 bytes. Read the text with "
                "errors='replace', or remove the character."
            ) from error
