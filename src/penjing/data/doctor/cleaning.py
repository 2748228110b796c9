"""A text without what does not belong into it, in a new file, and an account of what was left out.

Two passes: the first finds out what to leave out (the survey), the last writes the rest. Between
them the lines of what is kept are counted, if lines are to be taken out.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.files import atomic_file
from penjing.core.meter import JobMeter
from penjing.data.doctor.batch import scanned
from penjing.data.doctor.lines import RepeatedLines
from penjing.data.doctor.reading import FileSeen, all_sources, read_parts, settled, unreadable
from penjing.data.doctor.survey import Survey, examine
from penjing.data.doctor.trimming import Trimmed, Trimmer
from penjing.data.doctor.verdict import CleanConfig, Standing, judge
from penjing.data.doctor.writing import Writer, open_writer
from penjing.data.readers import Part
from penjing.data.sources import Source


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
    trimmed: Trimmed = field(default_factory=Trimmed)  # within documents that are kept
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
        texts = settled(all_sources(sources), Path(scratch))
        others = all_sources(against) if against else []
        found = examine(texts, others, repairing=config.repair, listener=listener)
        if error := unreadable(found.files):
            raise error
        work = _Work(texts, found, judge(found, config), config, Cleaned(out), listener)
        with atomic_file(out) as draft, open_writer(draft, out) as writer:
            if removed is None:
                work.write(writer, None)
            else:
                with atomic_file(removed) as other, open_writer(other, removed) as rest:
                    work.write(writer, rest)
            if not work.cleaned.kept:
                raise DataError(f"Nothing of the text is left, so {out} was not written.")
    return work.cleaned


@dataclass
class _Work:
    """What comes after the survey."""

    sources: Sequence[Source]
    found: Survey
    standing: Standing
    config: CleanConfig
    cleaned: Cleaned
    listener: Listener | None

    def write(self, writer: Writer, rest: Writer | None) -> None:
        """Read the text again and write what is kept."""
        lines = self._repeated_lines() if self.config.lines else set[int]()
        trimmer = Trimmer(lines, characters=self.config.characters)
        seen: list[FileSeen] = []
        for part, number, begins in self._read("writing", seen):
            self._part(part, number, begins, trimmer, writer, rest)
        self.cleaned.repaired = tuple(file for file in seen if file.repaired or file.skipped)

    def _read(self, label: str, seen: list[FileSeen]) -> Iterator[tuple[Part, int, bool]]:
        """All parts again, each with its document's number and whether that begins with it.

        Raises:
            DataError: there are more documents than before, or fewer.
        """
        number, begins, total = 0, True, int(self.found.training.sum())
        meter = JobMeter(self.listener)
        for source in self.sources:
            for part in read_parts(source, seen.append, repairing=self.config.repair):
                if number < total:
                    yield part, number, begins
                begins = part.ends
                number += part.ends
                if number % 1000 == 0:
                    meter.tell(label, number / total)
        if number != total:
            raise DataError(
                f"The text has changed while it was cleaned: {total:,} documents were examined, "
                f"{number:,} were there later. Run it again."
            )

    def _repeated_lines(self) -> set[int]:
        """Hashes of the lines to take out: how often they stand in the documents that are kept."""
        parts = (
            (part, part.text.encode("utf-8"), False)
            for part, number, _ in self._read("counting lines", [])
            if self.standing.reason(number) is None
        )
        lines = RepeatedLines()
        for batch, result in scanned(parts, lambda: 0):
            lines.add(batch.data, result)
        return set(lines.found(self.config.lines))

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
        account = self.cleaned
        n_bytes = len(part.text.encode("utf-8"))
        account.documents += begins
        account.n_bytes += n_bytes
        reason = self.standing.reason(number)
        if reason is None:
            trim = trimmer.trim(part.text)
            if begins and part.ends:
                changed = trim.text != part.text
                reason = self.standing.reconsider(number, trim.text, changed=changed)
        if reason is None:
            writer.add(Part(trim.text, part.source, part.ends))
            account.trimmed.add(trim, number)
            account.kept += begins
            account.kept_bytes += len(trim.text.encode("utf-8"))
            return
        account.taken[reason] += begins
        account.taken_bytes[reason] += n_bytes
        if rest is not None:
            leader = self.standing.leader(number)
            like = {} if leader is None else {"like": self.found.documents.sources[leader]}
            rest.add(part, reason=reason, **like)
