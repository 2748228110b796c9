"""The text that a verb is given: a word of the command line, or standard input."""

import sys

from penjing.data.encodings import decode_bytes


def read_prompt(word: str) -> str:
    """The word itself; "-" reads standard input, less the one line feed that `echo` adds.

    Raises:
        DataError: standard input is not text.
    """
    if word != "-":
        return word
    return decode_bytes(sys.stdin.buffer.read(), "standard input").removesuffix("\n")
