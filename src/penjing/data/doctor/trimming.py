"""What is taken out of a document that is kept: characters that mean nothing, lines that repeat."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.characters import (
    CONTROL,
    INVISIBLE,
    NO_CHARACTER,
    PRIVATE,
    class_table,
)
from penjing.data.doctor.scan import Scanner

KINDS = {
    "control": CONTROL,
    "invisible": INVISIBLE,
    "private": PRIVATE,
    "no_character": NO_CHARACTER,
}
_LINE_END = re.compile("[\x0b\x0c\x85]+")  # control characters, but not nothing
_ENDS = (b"\n", "\u2028".encode(), "\u2029".encode())  # of lines
_END = re.compile(b"|".join(_ENDS))


def _pattern(classes: Collection[int]) -> re.Pattern[str]:
    """Any character of these classes."""
    inside = np.isin(class_table(), list(classes)).astype(np.int8)
    edges = np.flatnonzero(np.diff(inside, prepend=0, append=0)).reshape(-1, 2)
    return re.compile(f"[{''.join(f'{chr(a)}-{chr(b - 1)}' for a, b in edges.tolist())}]")


_EACH = {kind: _pattern([number]) for kind, number in KINDS.items()}
_ANY = _pattern(KINDS.values())


@dataclass(frozen=True)
class Trim:
    """A text, or a part of one, and what was taken out of it."""

    text: str
    characters: Mapping[str, int]  # of each kind that there was
    lines: int
    line_bytes: int


@dataclass
class Trimmed:
    """What was taken out so far."""

    characters: Counter[str] = field(default_factory=Counter)  # of each kind
    documents: Counter[str] = field(default_factory=Counter)  # that had any, for each kind
    lines: int = 0
    line_bytes: int = 0
    line_documents: int = 0
    last: dict[str, int] = field(default_factory=dict)  # the document that had a kind last

    def add(self, trim: Trim, document: int) -> None:
        """What was taken out of a document (by number), or of the next part of it."""
        for kind, n in trim.characters.items():
            self.characters[kind] += n
            self.documents[kind] += self._is_new(kind, document)
        if trim.lines:
            self.lines += trim.lines
            self.line_bytes += trim.line_bytes
            self.line_documents += self._is_new("line", document)

    def _is_new(self, kind: str, document: int) -> bool:
        new = self.last.get(kind) != document
        self.last[kind] = document
        return new


class Trimmer:
    """Trims text after text.

    Args:
        lines: hashes of the lines that are taken out, as `Scanner` has them.
        characters: whether characters are taken out.
    """

    def __init__(self, lines: Collection[int], *, characters: bool) -> None:
        self._characters = characters
        self._lines = np.fromiter(lines, dtype=np.uint64, count=len(lines))
        self._scanner = Scanner() if len(lines) else None

    def trim(self, text: str) -> Trim:
        """A text, or a part of one, without what is unwanted."""
        lines, line_bytes, characters = 0, 0, dict[str, int]()
        if self._scanner is not None:
            text, lines, line_bytes = self._without_lines(self._scanner, text)
        if self._characters and _ANY.search(text):
            found = {kind: len(pattern.findall(text)) for kind, pattern in _EACH.items()}
            characters = {kind: n for kind, n in found.items() if n}
            text = _ANY.sub("", _LINE_END.sub("\n", text))
        return Trim(text, characters, lines, line_bytes)

    def _without_lines(self, scanner: Scanner, text: str) -> tuple[str, int, int]:
        """The text, how many lines were taken out, and their bytes."""
        raw = text.encode("utf-8")
        hashes, spans = scanner.lines(raw, np.array([len(raw)]))
        chosen = np.isin(hashes, self._lines)
        if not chosen.any():
            return text, 0, 0
        kept = _cut(raw, spans[chosen])
        return kept.decode("utf-8"), int(chosen.sum()), len(raw) - len(kept)


def _cut(raw: bytes, spans: NDArray[np.int64]) -> bytes:
    """Without the lines in which the spans lie, their ends included."""
    pieces, at = [], 0
    for begin, end in spans[:, :2].tolist():
        before = [(raw.rfind(mark, at, begin), len(mark)) for mark in _ENDS]
        first = max((place + length for place, length in before if place >= 0), default=at)
        following = _END.search(raw, end)
        last = following.end() if following else len(raw)
        pieces.append(raw[at:first])
        at = last
    return b"".join([*pieces, raw[at:]])
