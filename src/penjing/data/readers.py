"""The user's own text as documents: all at once, one after the other, or in parts of large ones."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.table import Table
from penjing.core.types import Document
from penjing.data.corpora import load_corpus
from penjing.data.encodings import decode_stream
from penjing.data.rows import read_csv, read_jsonl, read_parquet, read_tsv
from penjing.data.sources import Source, extension, find_sources

Reader = Callable[[BinaryIO, str], Iterator[Document]]  # (a file, its name) -> documents


def read_text(file: BinaryIO, source: str) -> Iterator[Document]:
    """The whole file is one document."""
    yield Document("".join(decode_stream(file, source)), source)


_PLAIN = [
    "txt", "text", "md", "markdown", "rst", "tex", "log", "py", "pyi", "js", "ts", "jsx", "tsx",
    "c", "h", "cc", "cpp", "hpp", "cs", "java", "kt", "swift", "go", "rs", "rb", "php", "lua",
    "r", "jl", "scala", "sh", "sql", "html", "css", "toml", "yaml", "yml", "ini",
]  # fmt: skip

READERS: Table[Reader] = Table(
    "file type",
    {
        **dict.fromkeys(_PLAIN, read_text),
        "jsonl": read_jsonl,
        "ndjson": read_jsonl,
        "csv": read_csv,
        "tsv": read_tsv,
        "parquet": read_parquet,
    },
)


@dataclass(frozen=True)
class Part:
    """A document, or the next part of one that is too large to be held at once."""

    text: str
    source: str
    ends: bool = True  # whether the document ends here


def read_documents(
    sources: Sequence[str | Path], *, listener: Listener | None = None
) -> list[Document]:
    """All documents of the sources, in order; those without any text are left out.

    What a source can be, `find_sources` says.

    Raises:
        DataError: something is missing, unreadable, not text, or there is no text at all.
        ConfigError: "corpus:..." with an unknown name.
    """
    return list(stream_documents(sources, listener=listener))


def stream_documents(
    sources: Sequence[str | Path], *, listener: Listener | None = None
) -> Iterator[Document]:
    """The same documents one after the other, in the memory of the largest of them.

    Raises:
        DataError, ConfigError: as `read_documents`, once the reading comes to it.
    """
    for name, found in zip(sources, find_sources(sources, READERS), strict=True):
        some = False
        for source in found:
            for document in _documents(source, listener):
                if document.text.strip():
                    some = True
                    yield document
        if not some:
            raise DataError(f"{'Standard input' if str(name) == '-' else name} holds no text.")
    if not sources:
        next(find_sources(sources, READERS))


def stream_parts(
    source: Source,
    *,
    content: bytes | None = None,
    damaged: Callable[[str], None] | None = None,
    listener: Listener | None = None,
) -> Iterator[Part]:
    """One source in flat memory: a plain text above a MiB comes in parts, cut at line ends.

    The parts of a document make up its text; a line is cut only where it alone is longer.
    Documents without any text are left out, but for parts of larger ones.

    Args:
        content: read this in place of the file.
        damaged: as `read_jsonl` takes it.

    Raises:
        DataError, CorpusError: it cannot be read.
    """
    if source.corpus:
        yield from _as_parts(iter(load_corpus(source.name, listener=listener)))
    elif source.path is None:
        yield from _parts(decode_stream(sys.stdin.buffer, source.name), source.name)
    else:
        reader = reader_of(source.path)
        with opened(source.path) if content is None else io.BytesIO(content) as file:
            if reader is read_text:
                yield from _parts(decode_stream(file, source.name), source.name)
            elif reader is read_jsonl:
                yield from _as_parts(read_jsonl(file, source.name, damaged=damaged))
            else:
                yield from _as_parts(reader(file, source.name))


def _as_parts(documents: Iterator[Document]) -> Iterator[Part]:
    for document in documents:
        if document.text.strip():
            yield Part(document.text, document.source)


PART = 2**20  # characters, about, of a part


def _parts(chunks: Iterator[str], source: str) -> Iterator[Part]:
    held, length, whole = [], 0, True
    for piece in (chunk[n : n + PART] for chunk in chunks for n in range(0, len(chunk), PART)):
        held.append(piece)
        length += len(piece)
        if length > PART:
            text = "".join(held)
            end = text.rfind("\n", 0, -1) + 1 or len(text) - 1
            yield Part(text[:end], source, ends=False)
            held, length, whole = [text[end:]], len(text) - end, False
    text = "".join(held)
    if not whole or text.strip():
        yield Part(text, source)


def _documents(source: Source, listener: Listener | None) -> Iterator[Document]:
    if source.corpus:
        yield from load_corpus(source.name, listener=listener)
    elif source.path is None:
        yield from read_text(sys.stdin.buffer, source.name)
    else:
        with opened(source.path) as file:
            yield from reader_of(source.path)(file, source.name)


def reader_of(path: Path) -> Reader:
    """A file without an extension is taken for plain text: it was named by hand."""
    return READERS[extension(path) or "txt"]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, unpacked if need be.

    Raises:
        DataError: it cannot be read, or unpacked.
    """
    zipped = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}).") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
