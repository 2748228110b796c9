"""What a user names as text: files by extension, folders, standard input, corpora by name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penjing.core.errors import DataError
from penjing.core.table import suggest
from penjing.data.corpora import CORPORA

STDIN = "-"
_PACKED = ("zst", "xz", "bz2", "lz4", "br", "zip", "7z", "rar", "tar", "tgz")


@dataclass(frozen=True)
class Source:
    """One thing to read: a file, a corpus, or standard input."""

    name: str  # as errors call it; of a corpus, its name alone
    path: Path | None = None  # of a file
    corpus: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes on disk; 0 of what is no file."""
        return self.path.stat().st_size if self.path else 0


def find_sources(named: Sequence[str | Path], known: Iterable[str]) -> Iterator[list[Source]]:
    """For each of the names, what there is to read, in order.

    A name is a file (`.gz` too), a folder (every file of a known type in it, sorted by name; hidden
    ones are skipped), "-" for standard input, or a package corpus: "corpus:tang" or just "tang"
    (for a file of that name, write "./tang").

    Args:
        known: the extensions that are read, in small letters, without the dot.

    Raises:
        DataError: nothing is named, or there is no such file, or it cannot be looked at.
        ConfigError: "corpus:..." with an unknown name.
    """
    if not named or "" in named:  # Path("") would be the current folder
        raise DataError("No text was named: give a file, a folder, - or a corpus.")
    for source in named:
        name = str(source)
        if isinstance(source, str) and (name.startswith("corpus:") or name in CORPORA):
            yield [Source(name.removeprefix("corpus:"), corpus=True)]
        elif name == STDIN:
            yield [Source("standard input")]
        else:
            yield [Source(str(path), path) for path in _files(Path(source), list(known))]


def extension(path: Path) -> str:
    """In small letters, without the dot; a closing .gz does not count."""
    suffixes = [suffix.lstrip(".").lower() for suffix in path.suffixes]
    if suffixes[-1:] == ["gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _files(path: Path, known: list[str]) -> list[Path]:
    try:
        path = path.expanduser()
        files = _below(path, known) if path.is_dir() else [path] if path.exists() else []
    except (OSError, RuntimeError) as error:  # RuntimeError: ~name without such a user
        reason = str(getattr(error, "strerror", error)).rstrip(".")
        raise DataError(f"Cannot read {path}: {reason}.") from error
    if not files:
        raise DataError(
            f"There is no file or folder {path}, nor a corpus of that name."
            f"{suggest(str(path), list(CORPORA))}"
        )
    for file in files:
        if extension(file) in _PACKED:
            raise DataError(f"{file} is packed: unpack it first, or pack it with gzip, as .gz.")
        if extension(file) not in known and extension(file):
            raise DataError(
                f"{file}: files of type .{extension(file)} are not read. If it is plain text, "
                f"rename it to .txt. Known: {', '.join(known)}."
            )
    return files


def _below(root: Path, known: list[str]) -> list[Path]:
    """Every file of a known type below `root`, sorted; links to folders above end there."""
    files: list[Path] = []
    others: set[str] = set()
    _visit(root, known, files, others, set())
    if not files:
        there = ", ".join(sorted(others)[:10]) or "nothing"
        raise DataError(
            f"The folder {root} has no file to read; there is {there}. Known types: "
            f"{', '.join(known)}."
        )
    return files


def _visit(
    folder: Path, known: list[str], files: list[Path], others: set[str], seen: set[Path]
) -> None:
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            _visit(path, known, files, others, seen)
        elif path.is_file() and extension(path) in known:
            files.append(path)
        else:
            others.add(f"*{path.suffix}" if path.suffix else path.name)
