"""Files read straight out of an archive: nothing is extracted, so no path in it can do harm."""

import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from penjing.core.errors import CorpusError

File = tuple[str, bytes]  # the name inside the archive, the content


def read_members(archive: Path, pattern: str) -> Iterator[File]:
    """The files of a zip, wheel or tgz whose names match the shell pattern, sorted by name.

    Raises:
        CorpusError: no file matches, or the archive is damaged.
    """
    read = _read_tgz if archive.suffix == ".tgz" else _read_zip
    return read(archive, pattern)


def _read_zip(archive: Path, pattern: str) -> Iterator[File]:
    try:
        with zipfile.ZipFile(archive) as file:
            names = _matching(file.namelist(), archive, pattern)
            for name in names:
                yield name, file.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _damaged(archive, error) from error


def _read_tgz(archive: Path, pattern: str) -> Iterator[File]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                if fnmatchcase(member.name, pattern) and (file := stream.extractfile(member)):
                    files[member.name] = file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise _damaged(archive, error) from error
    for name in _matching(files, archive, pattern):
        yield name, files[name]


def _matching(names: Iterable[str], archive: Path, pattern: str) -> list[str]:
    found = sorted(name for name in names if fnmatchcase(name, pattern))
    if not found:
        raise CorpusError(f"{archive} holds no file {pattern}.")
    return found


def _damaged(archive: Path, error: Exception) -> CorpusError:
    return CorpusError(f"{archive} is damaged ({error}). Remove it, and it is fetched again.")
