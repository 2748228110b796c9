"""Everything that the compiled passes find in a batch of documents. Imported late: see `utf8`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.census import count_characters
from penjing.data.doctor.characters import N_CLASSES, class_table, lower_table, misread_table
from penjing.data.doctor.languages import WORDS
from penjing.data.doctor.line_hashes import hash_lines
from penjing.data.doctor.shingles import BINS, SLOTS, hash_words
from penjing.data.doctor.utf8 import BASIS, PRIME


@dataclass(frozen=True)
class Scanned:
    """What was found in a batch of N documents."""

    classes: NDArray[np.int64]  # characters of each class, (N, N_CLASSES)
    longest: NDArray[np.int64]  # bytes of the longest run without white space or Han, (N,)
    mojibake: NDArray[np.int64]  # characters that were read byte by byte, (N,)
    words: NDArray[np.int64]  # (N,)
    shingles: NDArray[np.int64]  # (N,)
    languages: NDArray[np.int64]  # weight of common words, (N, languages)
    signatures: NDArray[np.uint8]  # MinHash, 8 bits of each value, (N, BINS); not of parts
    least: NDArray[np.uint64]  # the least hash of each bin, of the parts, (parts, BINS)
    passage_hashes: NDArray[np.uint64]  # of those up to the limit, (P,)
    passage_ends: NDArray[np.int64]  # in the batch, (P,)
    line_hashes: NDArray[np.uint64]  # of the lines that are long enough, (L,)
    line_spans: NDArray[np.int64]  # begin, end, place (document or block of one), (L, 3)


class Scanner:
    """Holds the tables; `scan` may be called by several threads at once."""

    def __init__(self) -> None:
        self._class_of, self._small, self._misread = class_table(), lower_table(), misread_table()
        self._common, self._owners = common_words(self._small)

    def scan(
        self,
        data: bytes,
        ends: NDArray[np.int64],
        limit: int,
        parts: NDArray[np.bool_] | None = None,
    ) -> Scanned:
        """What is in some documents.

        Args:
            data: their texts in UTF-8, one behind the other.
            ends: where each of them ends, (N,).
            limit: passages with a larger hash are left out.
            parts: which of them are only parts of documents, (N,); None: none.
        """
        buffer, n = np.frombuffer(data, dtype=np.uint8), len(ends)
        classes = np.zeros((n, N_CLASSES), dtype=np.int64)
        longest, mojibake = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        count_characters(buffer, ends, self._class_of, self._misread, classes, longest, mojibake)

        words, shingles = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        languages = np.zeros((n, len(WORDS)), dtype=np.int64)
        signatures = np.zeros((n, BINS), dtype=np.uint8)
        piece_of = np.full(n, -1, dtype=np.int64)
        rows = np.flatnonzero(parts) if parts is not None else np.empty(0, dtype=np.int64)
        piece_of[rows] = np.arange(len(rows))
        least = np.empty((len(rows), BINS), dtype=np.uint64)
        passages = np.empty(len(data), dtype=np.uint64)  # memory that is not written to is free
        where = np.empty(len(data), dtype=np.int64)
        n_passages = hash_words(
            buffer, ends, self._class_of, self._small, self._common, self._owners,
            np.uint64(limit), piece_of, words, shingles, languages, signatures, least,
            passages, where,
        )  # fmt: skip

        line_hashes, line_spans = self.lines(data, ends)
        return Scanned(
            classes=classes,
            longest=longest,
            mojibake=mojibake,
            words=words,
            shingles=shingles,
            languages=languages,
            signatures=signatures,
            least=least,
            passage_hashes=passages[:n_passages].copy(),
            passage_ends=where[:n_passages].copy(),
            line_hashes=line_hashes,
            line_spans=line_spans,
        )

    def lines(
        self, data: bytes, ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The hashes of lines and their spans alone, as `Scanned` has them: (L,), (L, 3)."""
        room = len(ends) + data.count(b"\n") + data.count(b"\xe2\x80")  # U+2028 ends a line, too
        hashes, spans = np.empty(room, dtype=np.uint64), np.empty((room, 3), dtype=np.int64)
        buffer = np.frombuffer(data, dtype=np.uint8)
        n_lines = hash_lines(buffer, ends, self._class_of, hashes, spans)
        return hashes[:n_lines], spans[:n_lines]


def common_words(small: NDArray[np.uint32]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of the common words of all languages, by open addressing, and whose words they are.

    A row of the latter is the number of languages, and then these, by number.
    """
    found: dict[int, list[int]] = {}
    for number, words in enumerate(WORDS.values()):
        for word in dict.fromkeys(words.split()):
            value = int(BASIS)
            for char in word:
                code = int(small[ord(char)]) if ord(char) < len(small) else ord(char)
                value = (value ^ code) * int(PRIME) % 2**64
            found.setdefault(value, []).append(number)
    hashes = np.zeros(SLOTS, dtype=np.uint64)
    owners = np.zeros((SLOTS, len(WORDS) + 1), dtype=np.int64)
    for value, languages in found.items():
        slot = value % SLOTS
        while hashes[slot]:
            slot = (slot + 1) % SLOTS
        hashes[slot] = value
        owners[slot, : len(languages) + 1] = [len(languages), *languages]
    return hashes, owners
