"""Texts side by side in one buffer: compiled functions are called for megabytes, not for lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.fast.memory import PADDING

_ZEROS = bytes(PADDING)


@dataclass(frozen=True)
class Batch:
    """Some texts in UTF-8, one behind the other, and padding behind the last."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]  # where each text ends; the first begins at 0


def batch_of(texts: Iterable[str]) -> Batch:
    """These texts in one buffer.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    parts = list(map(utf8, texts))
    ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
    parts.append(_ZEROS)
    return Batch(np.frombuffer(b"".join(parts), np.uint8), ends)


def batches_of(texts: Iterable[str], characters: int) -> Iterator[Batch]:
    """All texts in buffers of about so many characters; a longer text makes a longer buffer.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    waiting: list[str] = []
    size = 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= characters:
            yield batch_of(waiting)
            waiting, size = [], 0
    if waiting:
        yield batch_of(waiting)


def utf8(text: str) -> bytes:
    """A text's bytes.

    Raises:
        TokenizerError: it is not valid Unicode.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        require_unicode(text)
        raise
