"""Chinese text of any length, for what needs more than there is: new lines like those of poems.

Each character is drawn from those that follow the two before it somewhere in the real text (a
Markov chain of order 2), so that the words of the made text differ as those of a real one do.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHAINS = 4096  # drawn side by side
_STEPS = 512  # characters of each that are drawn at once


def write_chinese(file: Path, n_bytes: int, texts: Sequence[str]) -> None:
    """At least `n_bytes` of UTF-8, in lines."""
    with file.open("wb") as out:
        for text in _made("\n".join(texts)):
            out.write(text.encode("utf-8"))
            if out.tell() >= n_bytes:
                return


def write_line(file: Path, n_bytes: int, texts: Sequence[str]) -> None:
    """One line of at least `n_bytes`: no line ends, no spaces, no punctuation."""
    with file.open("wb") as out:
        for text in _made("".join(filter(str.isalpha, "".join(texts)))):
            out.write(text.encode("utf-8"))
            if out.tell() >= n_bytes:
                return


def _made(text: str) -> Iterator[str]:
    """Without end."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    pairs = codes[:-2].astype(np.uint64) << np.uint64(32) | codes[1:-1]
    order = np.argsort(pairs, kind="stable")  # places with the same two characters side by side
    begins = np.flatnonzero(np.diff(pairs[order], prepend=np.uint64(0)))
    lengths = np.diff(begins, append=len(order))
    group = np.empty(len(order), np.int64)
    group[order] = np.repeat(np.arange(len(begins)), lengths)
    draw = np.random.default_rng(0)
    places = draw.integers(0, len(order), _CHAINS)
    while True:
        drawn: NDArray[np.uint32] = np.empty((_CHAINS, _STEPS), np.uint32)
        for step in range(_STEPS):
            at = group[places]
            chosen = order[begins[at] + draw.integers(0, lengths[at])]
            drawn[:, step] = codes[chosen + 2]
            places = (chosen + 1) % len(order)
        yield drawn.tobytes().decode("utf-32-le")
