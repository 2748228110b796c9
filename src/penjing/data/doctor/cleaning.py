"""A text without what does not belong into it, in a new file, and an account of what was left out.

Two passes: the first finds out what to leave out (the survey), the second writes the rest.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import ConfigError, DataError
from penjing.core.events import Event, Listener
from penjing.core.files import atomic_file
from penjing.data.doctor.diagnosis import find_copies
from penjing.data.doctor.minhash import SIMILAR, find_alike
from penjing.data.doctor.reading import FileSeen, all_sources, read_parts, unreadable
from penjing.data.doctor.survey import Survey, survey
from penjing.data.doctor.trimming import Trimmed, Trimmer
from penjing.data.doctor.writing import Writer, open_writer, spooled
from penjing.data.readers import Part

# Why a document is left out, in the order of their standing: the first that holds is told.
REASONS = ("unbroken", "short", "long", "same", "alike", "against", "empty")
KEPT = -1


@dataclass(frozen=True)
class CleanConfig:
    """What is left out of a text."""

    same: bool = True  # documents with the same text as an earlier one
    similar: float = SIMILAR  # documents that share so much with an earlier one; 0: none
    characters: bool = True  # control, invisible and private-use characters
    lines: int = 0  # lines of 20 columns or more that stand in so many places; 0: none
    shortest: int = 1  # characters of a document
    longest: int = 0  # characters of a document; 0: any number
    unbroken: int = 0  # documents with more bytes than this without white space or Han; 0: none
    repair: bool = False  # read damaged files without what is damaged, rather than refuse them

    def check(self) -> None:
        """Raises ConfigError for a value that cannot work."""
        if self.similar and not 0.5 <= self.similar <= 1:
            raise ConfigError(f"similar must be 0 or from 0.5 to 1, got {self.similar}.")
        if self.lines and self.lines < 10:
            raise ConfigError(f"lines must be 0 or at least 10 places, got {self.lines}.")
        for name in ("shortest", "longest", "unbroken"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}.")


@dataclass
class Cleaned:
    """What was written, and what was not."""

    path: Path
    documents: int = 0  # that were read
    n_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    taken: Counter[str] = field(default_factory=Counter)  # documents for each reason
    taken_bytes: Counter[str] = field(default_factory=Counter)
    trimmed: Trimmed = field(default_factory=Trimmed)  # within documents
    repaired: tuple[FileSeen, ...] = ()


def clean(
    sources: Sequence[str | Path],
    out: Path,
    config: CleanConfig,
    *,
    against: Sequence[str | Path] = (),
    removed: Path | None = None,
    listener: Listener | None = None,
) -> Cleaned:
    """Write what is worth keeping of a text to `out`; nothing of the sources is changed.

    `out` ends in .jsonl or .jsonl.gz, a row {"text", "source"} for each document, or in .txt, the
    documents with an empty line between them. It is there whole or not at all.

    Args:
        against: a text to keep clear of, such as one for validation: documents that it has, too,
            are left out.
        removed: a .jsonl file for the documents that are left out, with the reason.

    Raises:
        DataError: a source cannot be read, or nothing is left.
        ConfigError: a setting or a file name that cannot work.
        StorageError: a file cannot be written.
    """
    config.check()
    with tempfile.TemporaryDirectory(prefix="penjing-") as scratch:
        sources = spooled(sources, Path(scratch))
        found = survey(sources, against, repairing=config.repair, listener=listener)
        if error := unreadable(found.files):
            raise error
        verdict, leaders = judge(found, config)
        work = _Work(found, verdict, leaders, config, Cleaned(out), listener)
        with atomic_file(out) as draft, open_writer(draft, out) as writer:
            if removed is None:
                work.write(sources, writer, None)
            else:
                with atomic_file(removed) as other, open_writer(other, removed) as rest:
                    work.write(sources, writer, rest)
            if not work.cleaned.kept:
                raise DataError(f"Nothing of the text is left, so {out} was not written.")
    return work.cleaned


def judge(found: Survey, config: CleanConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each document the reason to leave it out, as an index of REASONS or `KEPT`; and the one
    that it repeats, or -1: (N,) each."""
    ledger, training = found.documents, found.training
    lengths = ledger.table.n_characters
    verdict = np.full(len(ledger), KEPT, dtype=np.int64)
    leaders = np.full(len(ledger), -1, dtype=np.int64)

    def say(reason: str, chosen: NDArray[np.bool_], like: NDArray[np.int64] | None = None) -> None:
        chosen = chosen & (verdict == KEPT) & training
        verdict[chosen] = REASONS.index(reason)
        if like is not None:
            leaders[chosen] = like[chosen]

    if config.unbroken:
        say("unbroken", ledger.longest > config.unbroken)
    say("short", lengths < config.shortest)
    if config.longest:
        say("long", lengths > config.longest)
    copies = find_copies(found, config.similar or 1.0)
    if config.same:
        say("same", copies.same >= 0, copies.same)
    if config.similar:
        say("alike", copies.alike.leader >= 0, copies.alike.leader)
    if not training.all():
        like = _against(found, config)
        say("against", like >= 0, like)
    return verdict, leaders


def _against(found: Survey, config: CleanConfig) -> NDArray[np.int64]:
    """For each document one of the text to keep clear of that it repeats, or -1."""
    ledger, training = found.documents, found.training
    order = np.concatenate([np.flatnonzero(~training), np.flatnonzero(training)])
    same = ledger.copies(order)
    signatures, comparable = ledger.signatures[order], ledger.comparable[order]
    alike = find_alike(signatures, comparable, least=config.similar or 1.0)
    near = np.full(len(ledger), -1, dtype=np.int64)
    some = np.flatnonzero(alike.leader >= 0)
    near[order[some]] = order[alike.leader[some]]
    like = np.where(same >= 0, same, near)
    like[(like >= 0) & training[like]] = -1
    return like


@dataclass
class _Work:
    """The second pass."""

    found: Survey
    verdict: NDArray[np.int64]
    leaders: NDArray[np.int64]
    config: CleanConfig
    cleaned: Cleaned
    listener: Listener | None

    def write(self, sources: Sequence[str | Path], writer: Writer, rest: Writer | None) -> None:
        """Read the text again and write what is kept."""
        lines = self.found.lines.items() if self.config.lines else ()
        wanted = {value for value, line in lines if line.places >= self.config.lines}
        trimmer = Trimmer(self.cleaned.trimmed, wanted, characters=self.config.characters)
        seen: list[FileSeen] = []
        number, begins = 0, True
        total = int(self.found.training.sum())
        for source in all_sources(sources):
            for part in read_parts(source, seen.append, repairing=self.config.repair):
                if number < total:
                    self._part(part, number, begins, trimmer, writer, rest)
                begins = part.ends
                number += part.ends
                if self.listener and number % 1000 == 0:
                    data = {"label": "writing", "done": number / total, "eta": float("nan")}
                    self.listener(Event("job", data))
        if number != total:
            raise DataError(
                f"The text has changed while it was cleaned: {total:,} documents were examined, "
                f"{number:,} were there later. Run it again."
            )
        self.cleaned.repaired = tuple(file for file in seen if file.repaired)

    def _part(
        self,
        part: Part,
        number: int,
        begins: bool,
        trimmer: Trimmer,
        writer: Writer,
        rest: Writer | None,
    ) -> None:
        """Write the next part of the document of that number, or leave it out."""
        account, text = self.cleaned, part.text
        n_bytes = len(text.encode("utf-8"))
        account.documents += begins
        account.n_bytes += n_bytes
        verdict = int(self.verdict[number])
        reason = "" if verdict == KEPT else REASONS[verdict]
        if not reason:
            text = trimmer.trim(text, number)
            if begins and part.ends and len(text.strip()) < max(1, self.config.shortest):
                reason, text = "empty", part.text
        if not reason:
            writer.add(Part(text, part.source, part.ends))
            account.kept += begins
            account.kept_bytes += len(text.encode("utf-8"))
            return
        account.taken[reason] += begins
        account.taken_bytes[reason] += n_bytes
        if rest is not None:
            leader = int(self.leaders[number])
            like = {"like": self.found.documents.sources[leader]} if leader >= 0 else {}
            rest.add(part, reason=reason, **like)
