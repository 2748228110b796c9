"""Reading sources for the doctor: a file that cannot be read is noted, and the others go on."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.files import storage_errors
from penjing.data.damage import repair
from penjing.data.encodings import Place, decode_stream, recognise
from penjing.data.readers import READERS, Part, opened, reader_of, stream_parts
from penjing.data.rows import read_parquet
from penjing.data.seven_bit import hidden_encoding
from penjing.data.sources import Source, find_sources

_HEAD = 2**20  # bytes that an encoding is recognised by


@dataclass(frozen=True)
class FileSeen:
    """A file, a corpus or standard input, and what it was."""

    name: str
    n_bytes: int  # on disk; 0 of what is no file
    encoding: str | None  # such as "utf-8" or "parquet"; None if unknown
    documents: int
    error: str | None = None  # why it could not be read to its end
    repaired: int = 0  # damaged bytes that were left out
    skipped: int = 0  # lines that were left out, for they are no rows


def all_sources(named: Sequence[str | Path]) -> list[Source]:
    """Every file, corpus and standard input that is named.

    Raises:
        DataError, ConfigError: as `find_sources`.
    """
    return [source for found in find_sources(named, READERS) for source in found]


def settled(sources: Sequence[Source], folder: Path) -> list[Source]:
    """The sources, with files in `folder` for what is piped, which can be read only once.

    Raises:
        DataError: what is piped cannot be read.
        StorageError: the folder has no room for it.
    """
    found = []
    for number, source in enumerate(sources):
        if not source.corpus and (source.path is None or source.path.is_fifo()):
            copy = folder / f"{number}-{source.path.name if source.path else 'input.txt'}"
            piped = opened(source.path) if source.path else nullcontext(sys.stdin.buffer)
            with piped as pipe, storage_errors(copy), copy.open("wb") as file:
                shutil.copyfileobj(pipe, file)
            source = Source(source.name, copy)
        found.append(source)
    return found


def unreadable(files: Sequence[FileSeen]) -> DataError | None:
    """The error of the first file that cannot be read, and how many more there are."""
    errors = [file.error for file in files if file.error]
    if not errors:
        return None
    more = f" ({len(errors) - 1} more cannot be read.)" if len(errors) > 1 else ""
    return DataError(f"{errors[0]}{more}")


def read_parts(
    source: Source,
    done: Callable[[FileSeen], None],
    *,
    repairing: bool = False,
    listener: Listener | None = None,
) -> Iterator[Part]:
    """The parts of one source; at the end `done` is told how it went.

    Lines that are no rows are left out. Where it cannot be read any further, a document that was
    begun is closed.

    Args:
        repairing: leave out the damaged bytes of a file that is text otherwise, and take no offence
            at lines that are no rows.
    """
    documents, begun, error = 0, False, None
    damaged = _Complaints()
    mended = _mended(source) if repairing else None
    content, encoding, removed = mended or (None, None, 0)
    try:
        for part in stream_parts(source, content=content, damaged=damaged, listener=listener):
            begun = not part.ends
            documents += part.ends
            yield part
    except DataError as failure:
        error = str(failure)
        if begun:
            documents += 1
            yield Part("", source.name)
    if error is None and not repairing:
        error = damaged.said()
    if encoding is None and (documents or not error):
        encoding = _encoding(source)
    skipped = damaged.n if repairing else 0
    done(FileSeen(source.name, source.n_bytes, encoding, documents, error, removed, skipped))


class _Complaints:
    """The first of many, and their number."""

    def __init__(self) -> None:
        self._first, self.n = "", 0

    def __call__(self, complaint: str) -> None:
        self._first, self.n = self._first or complaint, self.n + 1

    def said(self) -> str | None:
        """In a few words; None if there were none."""
        if not self.n:
            return None
        advice = "`penjing data clean --repair` leaves out such lines"
        return f"{self._first} {advice} ({self.n:,} here)."


def _mended(source: Source) -> tuple[bytes, str, int] | None:
    """A damaged file's text in UTF-8, how it was encoded, and how many bytes were left out.

    None for a file that is sound, or cannot be mended.
    """
    if source.path is None or reader_of(source.path) is read_parquet:
        return None
    with opened(source.path) as file:
        try:
            for _ in decode_stream(file, source.name):
                pass
            return None
        except DataError:
            pass
    with opened(source.path) as file:
        raw = file.read()
    found = None if hidden_encoding(raw) else repair(raw)
    return None if found is None else (found.text.encode("utf-8"), found.encoding, found.removed)


def _encoding(source: Source) -> str | None:
    if source.path is None:
        return "utf-8" if source.corpus else None
    if reader_of(source.path) is read_parquet:
        return "parquet"
    try:
        with opened(source.path) as file:
            head = file.read(_HEAD)
        return recognise(head, Place(source.name), final=len(head) < _HEAD).encoding
    except DataError:
        return None
