"""The text that a verb is given: a word of the command line, or standard input."""

import os
import sys

from penjing.core.errors import DataError
from penjing.data.encodings import decode_bytes


def read_prompt(word: str) -> str:
    """The word itself; "-" reads standard input, less the one line feed that `echo` adds.

    Raises:
        DataError: it is not text.
    """
    if word != "-":
        return _unicode(word)
    return decode_bytes(sys.stdin.buffer.read(), "standard input").removesuffix("\n")


def _unicode(word: str) -> str:
    """Python keeps the bytes that the locale cannot read as lone surrogates; read them as UTF-8."""
    if not any("\ud800" <= char <= "\udfff" for char in word):
        return word
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError as error:
        raise DataError("The text on the command line is not UTF-8.") from error
