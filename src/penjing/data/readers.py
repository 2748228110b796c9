"""The user's own text: files by extension, folders, standard input, and package corpora by name."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.table import Table, suggest
from penjing.core.types import Document
from penjing.data.corpora import CORPORA, load_corpus
from penjing.data.encodings import decode_bytes
from penjing.data.rows import read_csv, read_jsonl, read_parquet, read_tsv

Reader = Callable[[bytes, str], Iterator[Document]]  # (the whole file, its name) -> documents


def read_text(raw: bytes, source: str) -> Iterator[Document]:
    """The whole file is one document."""
    yield Document(decode_bytes(raw, source), source)


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


def read_documents(
    sources: Sequence[str | Path], *, listener: Listener | None = None
) -> list[Document]:
    """All documents of the sources, in order; those without any text are left out.

    A source is a file (`.gz` too), a folder (every file of a known type in it, sorted by name;
    hidden ones are skipped), "-" for standard input, or a package corpus: "corpus:tang" or just
    "tang" (for a file of that name, write "./tang").

    Raises:
        DataError: something is missing, unreadable, not text, or there is no text at all.
        ConfigError: "corpus:..." with an unknown name.
    """
    if not sources:
        raise DataError("No text was named: give a file, a folder, - or a corpus.")
    documents: list[Document] = []
    for source in sources:
        found = [doc for doc in _read_source(source, listener) if doc.text.strip()]
        if not found:
            name = "Standard input" if str(source) == "-" else source
            raise DataError(f"{name} holds no text.")
        documents += found
    return documents


def _read_source(source: str | Path, listener: Listener | None) -> Iterator[Document]:
    name = str(source)
    if isinstance(source, str) and (name.startswith("corpus:") or name in CORPORA):
        yield from load_corpus(name.removeprefix("corpus:"), listener=listener)
    elif name == "-":
        yield from read_text(sys.stdin.buffer.read(), "standard input")
    else:
        yield from _read_path(Path(source))


def _read_path(path: Path) -> Iterator[Document]:
    try:
        path = path.expanduser()
        files = _files_in(path) if path.is_dir() else [path] if path.exists() else []
    except (OSError, RuntimeError) as error:  # RuntimeError: ~name without such a user
        reason = str(getattr(error, "strerror", error)).rstrip(".")
        raise DataError(f"Cannot read {path}: {reason}.") from error
    if not files:
        raise DataError(
            f"There is no file or folder {path}, nor a corpus of that name."
            f"{suggest(str(path), list(CORPORA))}"
        )
    for file in files:
        yield from _read_file(file, _reader_for(file))


def _extension(path: Path) -> str:
    """In small letters, without the dot; a closing .gz does not count."""
    suffixes = [suffix.lstrip(".").lower() for suffix in path.suffixes]
    if suffixes[-1:] == ["gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _reader_for(path: Path) -> Reader:
    """A file without an extension is taken for plain text: it was named by hand."""
    extension = _extension(path)
    if extension in READERS or not extension:
        return READERS[extension or "txt"]
    raise DataError(
        f"{path}: files of type .{extension} are not read. If it is plain text, rename it to .txt. "
        f"Known: {', '.join(READERS)}."
    )


def _read_file(path: Path, reader: Reader) -> Iterator[Document]:
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}).") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    yield from reader(raw, str(path))


def _files_in(root: Path) -> list[Path]:
    """Every file of a known type below `root`, sorted; links to folders above end there."""
    files: list[Path] = []
    others: set[str] = set()
    seen: set[Path] = set()

    def visit(folder: Path) -> None:
        real = folder.resolve()
        if real in seen:
            return
        seen.add(real)
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                visit(path)
            elif path.is_file() and _extension(path) in READERS:
                files.append(path)
            else:
                others.add(f"*{path.suffix}" if path.suffix else path.name)

    visit(root)
    if not files:
        there = ", ".join(sorted(others)[:10]) or "nothing"
        raise DataError(
            f"The folder {root} has no file to read; there is {there}. Known types: "
            f"{', '.join(READERS)}."
        )
    return files
