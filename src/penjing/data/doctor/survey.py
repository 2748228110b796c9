"""Everything that is found out about a text in one pass over it, in nearly flat memory.

Some 250 bytes are kept of each document, and a kilobyte for each megabyte of a long one, besides
some 60 MB for passages and lines and a sample of the text.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.meter import JobMeter
from penjing.data.doctor.batch import Batch, scanned
from penjing.data.doctor.characters import (
    CONTROL,
    INVISIBLE,
    LOST,
    N_CLASSES,
    NO_CHARACTER,
    PRIVATE,
)
from penjing.data.doctor.languages import language_of
from penjing.data.doctor.ledger import Digests, Ledger, Sources
from penjing.data.doctor.lines import RepeatedLine, RepeatedLines
from penjing.data.doctor.passages import Passages
from penjing.data.doctor.phrases import has_phrase
from penjing.data.doctor.reading import FileSeen, all_sources, read_parts, unreadable
from penjing.data.doctor.sampling import TextSample
from penjing.data.doctor.scan import Scanned
from penjing.data.doctor.shingles import LEAST_SHINGLES, sign
from penjing.data.readers import Part
from penjing.data.sources import Source

TROUBLES = ("control", "lost", "invisible", "private", "no_character", "mojibake", "phrase")
SAMPLE = 2**21  # bytes of text that tokens are counted in
_CLASSES = [CONTROL, LOST, INVISIBLE, PRIVATE, NO_CHARACTER]  # in the order of TROUBLES
_LEAST_MOJIBAKE = 3  # in a document: one may be meant
_LOST_AS_GBK = "锟斤拷"  # two replacement characters in UTF-8, read as GBK
_TICK_S = 0.1  # between two events
_LEAST_SHARE = 0.01  # of the text: before, compiled code is being loaded


@dataclass(frozen=True)
class Survey:
    """A text, examined; and the validation text, if one was named."""

    files: tuple[FileSeen, ...]
    documents: Ledger
    characters: NDArray[np.int64]  # of each class, in the training text, (N_CLASSES,)
    troubles: dict[str, int]  # characters of each of TROUBLES; of "phrase", documents
    lines: dict[int, RepeatedLine]  # of the training text, by hash
    passages: NDArray[np.uint64]  # hashes of a sample, (P,)
    passage_ends: NDArray[np.int64]  # where each ends in all of the text, in bytes, (P,)
    sample: tuple[str, ...]  # of the training text
    seconds: float

    @property
    def training(self) -> NDArray[np.bool_]:
        """Which documents are not of the validation sources, (N,)."""
        return ~self.documents.validation

    @property
    def n_bytes(self) -> int:
        """Bytes of the training text in UTF-8."""
        return int(self.documents.table.n_bytes[self.training].sum())

    def passages_of(self, documents: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which passages are of these documents: (N,) -> (P,)."""
        ends = np.cumsum(self.documents.table.n_bytes)
        owners = np.searchsorted(ends, self.passage_ends, side="left")
        return documents[np.minimum(owners, len(ends) - 1)]


def survey(
    sources: Sequence[str | Path],
    validation: Sequence[str | Path] = (),
    *,
    repairing: bool = False,
    listener: Listener | None = None,
) -> Survey:
    """Read and examine a text.

    A file that cannot be read is noted in `files`, and the others are examined. The listener gets
    "job" events.

    Args:
        sources: as `penjing.data.sources.find_sources` takes them.
        validation: the text that a model will be judged by, if it is kept apart.
        repairing: read damaged files without what is damaged.

    Raises:
        DataError: there is nothing to examine at all; the message is that of the first file.
        ConfigError: an unknown corpus.
    """
    others = all_sources(validation) if validation else []
    return examine(all_sources(sources), others, repairing=repairing, listener=listener)


def examine(
    sources: Sequence[Source],
    validation: Sequence[Source],
    *,
    repairing: bool = False,
    listener: Listener | None = None,
) -> Survey:
    """The same, of sources that were found already."""
    begin = time.monotonic()
    found = [(source, False) for source in sources] + [(source, True) for source in validation]
    taker = _Taker(listener, sum(source.n_bytes for source, _ in found), repairing=repairing)
    for batch, result in scanned(taker.read(found), lambda: taker.passages.limit):
        taker.take(batch, result)
    if not len(taker.sources):
        raise unreadable(taker.files) or DataError(f"{found[0][0].name} holds no text.")
    return taker.finish(time.monotonic() - begin)


class _Taker:
    """Takes notes of what is read, and of what is found in it."""

    def __init__(self, listener: Listener | None, n_bytes: int, *, repairing: bool) -> None:
        self.files: list[FileSeen] = []
        self.sources = Sources()
        self.passages = Passages()
        self._listener, self._total, self._repairing = listener, n_bytes, repairing
        self._meter, self._told = JobMeter(listener, least=_LEAST_SHARE), 0.0
        self._digests, self._lines, self._sample = Digests(), RepeatedLines(), TextSample(SAMPLE)
        self._characters = np.zeros(N_CLASSES, dtype=np.int64)
        self._troubles = dict.fromkeys(TROUBLES, 0)
        self._rows: dict[str, list[NDArray[np.int64]]] = {}
        self._signatures: list[NDArray[np.uint8]] = []
        self._least: list[NDArray[np.uint64]] = []  # of documents in parts
        self._n_bytes = 0  # taken so far

    def read(self, found: Sequence[tuple[Source, bool]]) -> Iterator[tuple[Part, bytes, bool]]:
        """All parts of all sources, with their bytes."""
        complete = 0  # bytes of the files before this one
        for source, validation in found:
            begun, n_read, n_bytes = False, 0, source.n_bytes
            for part in read_parts(
                source, self.files.append, repairing=self._repairing, listener=self._listener
            ):
                raw = part.text.encode("utf-8")
                self._digests.add(part.text, ends=part.ends)
                if not begun:
                    self.sources.append(part.source)
                if not validation:
                    self._sample.add(part.text)
                begun = not part.ends
                n_read += len(raw)
                self._tell(complete + min(n_read, n_bytes))
                yield part, raw, validation
            complete += n_bytes

    def _tell(self, done: int) -> None:
        if (now := self._meter.seconds) - self._told >= _TICK_S:
            self._told = now
            self._meter.tell("reading", done / self._total if self._total else 0.0)

    def take(self, batch: Batch, result: Scanned) -> None:
        """What was found in a batch."""
        parts, sizes = batch.parts, batch.sizes
        columns = {
            "n_bytes": sizes,
            "characters": np.array([len(part.text) for part in parts]),
            "ends": np.array([part.ends for part in parts]),
            "validation": np.full(len(parts), batch.validation),
            "languages": language_of(result.classes, result.languages, result.words),
            "shingles": result.shingles,
            "troubles": self._take_troubles(batch, result),
            "longest": result.longest,
        }
        for name, column in columns.items():
            self._rows.setdefault(name, []).append(column.astype(np.int64))
        self._signatures.append(result.signatures)
        self._least.append(result.least)
        self.passages.add(result.passage_hashes, result.passage_ends + self._n_bytes)
        self._n_bytes += int(sizes.sum())
        if not batch.validation:
            self._characters += result.classes.sum(axis=0)
            self._lines.add(batch.data, result)

    def _take_troubles(self, batch: Batch, result: Scanned) -> NDArray[np.int64]:
        """A bit for each kind of trouble, (parts,)."""
        texts = [part.text for part in batch.parts]
        phrase = np.array([has_phrase(text) for text in texts], dtype=np.int64)
        mojibake = np.where(result.mojibake >= _LEAST_MOJIBAKE, result.mojibake, 0)
        counts = np.column_stack([result.classes[:, _CLASSES], mojibake, phrase])
        lost = [text.count(_LOST_AS_GBK) for text in texts]
        counts[:, TROUBLES.index("lost")] += np.array(lost) * len(_LOST_AS_GBK)
        for name, count in zip(TROUBLES, counts.sum(axis=0).tolist(), strict=True):
            self._troubles[name] += count
        bits: NDArray[np.int64] = ((counts > 0) << np.arange(len(TROUBLES))).sum(axis=1)
        return bits

    def finish(self, seconds: float) -> Survey:
        """All notes together; a document in parts becomes one row."""
        rows = {name: np.concatenate(columns) for name, columns in self._rows.items()}
        ends = np.flatnonzero(rows["ends"])
        starts = np.concatenate([[0], ends[:-1] + 1])
        summed = ("n_bytes", "characters", "shingles")
        sums = {name: np.add.reduceat(rows[name], starts) for name in summed}
        comparable = sums["shingles"] >= LEAST_SHINGLES
        ledger = Ledger(
            sources=self.sources,
            table=self._digests.table(sums["n_bytes"], sums["characters"]),
            validation=rows["validation"][starts].astype(bool),
            languages=rows["languages"][starts],
            longest=np.maximum.reduceat(rows["longest"], starts),
            troubles=np.bitwise_or.reduceat(rows["troubles"], starts),
            comparable=comparable,
            signatures=self._all_signatures(starts, ends, comparable),
        )
        hashes, where = self.passages.arrays()
        return Survey(
            files=tuple(self.files),
            documents=ledger,
            characters=self._characters,
            troubles=self._troubles,
            lines=self._lines.found(),
            passages=hashes,
            passage_ends=where,
            sample=tuple(self._sample.texts()),
            seconds=seconds,
        )

    def _all_signatures(
        self, starts: NDArray[np.int64], ends: NDArray[np.int64], comparable: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Of each document, (N, BINS): of one in parts, what is least in any of them counts."""
        signatures = np.concatenate(self._signatures)[starts]
        long = np.flatnonzero(starts < ends)
        if len(long):
            sizes = (ends - starts + 1)[long]
            first = np.cumsum(sizes) - sizes
            least = np.minimum.reduceat(np.concatenate(self._least), first)
            some = comparable[long]
            signed = np.zeros((int(some.sum()), signatures.shape[1]), dtype=np.uint8)
            sign(least[some], signed)
            signatures[long[some]] = signed
        return signatures
