"""What is known of each document: some 250 bytes, however long it is."""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.data.hashing import TextHash, text_hashes
from penjing.data.splitting import Documents, numbers


class Sources:
    """The source of each document, such as "a.jsonl:17", kept as a name and a number."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._name = array("i")
        self._number = array("q")

    def append(self, source: str) -> None:
        """The next document's."""
        head, _, number = source.rpartition(":")
        if not (head and number.isascii() and number.isdigit() and str(int(number[:18])) == number):
            head, number = source, "-1"
        if not self._names or self._names[-1] != head:
            self._names.append(head)
        self._name.append(len(self._names) - 1)
        self._number.append(int(number))

    def __getitem__(self, document: int) -> str:
        name, number = self._names[self._name[document]], self._number[document]
        return name if number < 0 else f"{name}:{number}"

    def __len__(self) -> int:
        return len(self._name)


@dataclass(frozen=True)
class Ledger:
    """Figures of N documents, in the order of their sources."""

    sources: Sources
    table: Documents  # sizes and digests, as a split needs them
    validation: NDArray[np.bool_]  # whether it is of the validation sources, (N,)
    languages: NDArray[np.int64]  # index in LANGUAGES, (N,)
    longest: NDArray[np.int64]  # bytes without white space or Han, (N,)
    troubles: NDArray[np.int64]  # a bit for each of `TROUBLES`, (N,)
    comparable: NDArray[np.bool_]  # whether the signature says anything, (N,)
    signatures: NDArray[np.uint8]  # (N, BINS)

    def __len__(self) -> int:
        return len(self.validation)

    def copies(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each document one with the same text that stands before it, or -1, (N,).

        Args:
            first: the documents in the order of their standing, any number of them.
        """
        found = np.full(len(self), -1, dtype=np.int64)
        cores = self.table.core[first, 0].astype(np.uint64)  # 64 bits are enough to tell apart
        _, at, which = np.unique(cores, return_index=True, return_inverse=True)
        leader = first[at[which]]
        later = leader != first
        found[first[later]] = leader[later]
        return found


class Digests:
    """The digests of document after document, of texts that may come in parts."""

    def __init__(self) -> None:
        self._whole, self._core = bytearray(), bytearray()
        self._begun: TextHash | None = None

    def add(self, text: str, *, ends: bool) -> None:
        """The next part of the document at hand."""
        if self._begun is None and ends:
            digests = text_hashes(text)
        else:
            self._begun = self._begun or TextHash()
            self._begun.update(text)
            if not ends:
                return
            digests = self._begun.digests()
            self._begun = None
        self._whole += digests[0]
        self._core += digests[1]

    def table(self, n_bytes: NDArray[np.int64], n_characters: NDArray[np.int64]) -> Documents:
        """All documents, with their sizes, (N,) each."""
        return Documents(
            n_bytes, n_characters, numbers(bytes(self._whole)), numbers(bytes(self._core))
        )
