"""What is taken out of a document that is kept: characters that mean nothing, lines that repeat."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.passages import EVERYTHING
from penjing.data.doctor.scan import Scanner

# As `characters.class_table` has them. A form feed and a vertical tab end a line.
KINDS = {
    "control": "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f",
    "invisible": "\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff",
    "private": "\ue000-\uf8ff\U000f0000-\U0010fffd",
    "no_character": "\ufdd0-\ufdef\ufffe\uffff"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(2**16, 0x110000, 2**16)
    ),
}
_ANY = re.compile(f"[{''.join(KINDS.values())}]")
_EACH = {kind: re.compile(f"[{characters}]") for kind, characters in KINDS.items()}
_LINE_END = re.compile("[\x0b\x0c\x85]+")


@dataclass
class Trimmed:
    """What was taken out so far."""

    characters: Counter[str] = field(default_factory=Counter)  # of each kind
    documents: Counter[str] = field(default_factory=Counter)  # that had any, for each kind
    lines: int = 0
    line_bytes: int = 0
    line_documents: int = 0


class Trimmer:
    """Trims document after document, and keeps the account.

    Args:
        lines: hashes of the lines that are taken out, as `Scanner` has them.
        characters: whether characters are taken out.
    """

    def __init__(self, account: Trimmed, lines: Collection[int], *, characters: bool) -> None:
        self._account, self._characters = account, characters
        self._lines = np.fromiter(lines, dtype=np.uint64, count=len(lines))
        self._scanner = Scanner() if len(lines) else None
        self._last: dict[str, int] = {}  # the document that a kind was last found in

    def trim(self, text: str, document: int) -> str:
        """The text of a document (by number), or the next part of it, without what is unwanted."""
        if self._scanner is not None:
            text = self._without_lines(self._scanner, text, document)
        return self._without_characters(text, document) if self._characters else text

    def _without_characters(self, text: str, document: int) -> str:
        if not _ANY.search(text):
            return text
        for kind, characters in _EACH.items():
            if n := len(characters.findall(text)):
                self._account.characters[kind] += n
                self._account.documents[kind] += self._is_new(kind, document)
        return _ANY.sub("", _LINE_END.sub("\n", text))

    def _without_lines(self, scanner: Scanner, text: str, document: int) -> str:
        raw = text.encode("utf-8")
        found = scanner.scan(raw, np.array([len(raw)]), EVERYTHING)
        chosen = np.isin(found.line_hashes, self._lines)
        if not chosen.any():
            return text
        self._account.lines += int(chosen.sum())
        self._account.line_documents += self._is_new("line", document)
        kept = _cut(raw, found.line_spans[chosen])
        self._account.line_bytes += len(raw) - len(kept)
        return kept.decode("utf-8")

    def _is_new(self, kind: str, document: int) -> bool:
        new = self._last.get(kind) != document
        self._last[kind] = document
        return new


def _cut(raw: bytes, spans: NDArray[np.int64]) -> bytes:
    """Without the lines in which the spans lie, their line feeds included."""
    pieces, at = [], 0
    for begin, end in spans[:, :2].tolist():
        first = raw.rfind(b"\n", at, begin) + 1 or at
        last = raw.find(b"\n", end) + 1 or len(raw)
        pieces.append(raw[at:first])
        at = last
    return b"".join([*pieces, raw[at:]])
