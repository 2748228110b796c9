"""Files read straight out of an archive: nothing is extracted, so no path in it can do harm."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from penjing.core.errors import CorpusError

File = tuple[str, bytes]  # the name inside the archive, the content

_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)


def read_members(archive: Path, pattern: str) -> Iterator[File]:
    """The files of a zip, wheel or tgz whose names match the shell pattern, sorted by name.

    Raises:
        CorpusError: no file matches, or the archive is damaged.
    """
    read = _read_tgz if archive.suffix == ".tgz" else _read_zip
    return read(archive, pattern)


@contextmanager
def opened_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """One file of a zip, wheel or tgz, to be read piece by piece.

    Raises:
        CorpusError: there is no such file, or the archive is damaged.
    """
    try:
        with ExitStack() as stack:
            file: IO[bytes] | None
            try:
                if archive.suffix == ".tgz":
                    file = stack.enter_context(tarfile.open(archive, "r:gz")).extractfile(name)
                else:
                    file = stack.enter_context(zipfile.ZipFile(archive)).open(name)
            except KeyError:
                file = None
            if file is None:
                raise CorpusError(f"{archive} holds no file {name}.")
            yield stack.enter_context(file)
    except (*_DAMAGES, gzip.BadGzipFile) as error:
        raise _damaged(archive, error) from error


def _read_zip(archive: Path, pattern: str) -> Iterator[File]:
    try:
        with zipfile.ZipFile(archive) as file:
            names = _matching(file.namelist(), archive, pattern)
            for name in names:
                yield name, file.read(name)
    except _DAMAGES as error:
        raise _damaged(archive, error) from error


def _read_tgz(archive: Path, pattern: str) -> Iterator[File]:
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                if fnmatchcase(member.name, pattern) and (file := stream.extractfile(member)):
                    files[member.name] = file.read()
    except (*_DAMAGES, OSError) as error:
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
