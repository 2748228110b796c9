"""Files read straight out of an archive: nothing is extracted, so no path in it can do harm."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from penjing.core.errors import CorpusError, StorageError
from penjing.core.files import atomic_file

File = tuple[str, bytes]  # the name inside the archive, the content


def read_members(archive: Path, pattern: str, *, sha256: str) -> Iterator[File]:
    """The files of a zip, wheel or tgz whose names match the shell pattern, sorted by name.

    A tgz must be unpacked from its start to reach any file, which takes seconds for a large one:
    the wanted files are put into a zip beside it the first time, and read from there afterwards.
    `sha256` is the archive's, already verified; it ties that zip to this very archive.

    Raises:
        CorpusError: no file matches, or the archive is damaged.
    """
    if archive.suffix == ".tgz":
        key = hashlib.sha256(f"{sha256} {pattern}".encode()).hexdigest()[:16]
        return _read_repacked(archive, pattern, archive.with_name(f"{archive.stem}.{key}.zip"))
    return _read_zip(archive, pattern)


def _read_repacked(tgz: Path, pattern: str, repacked: Path) -> Iterator[File]:
    if repacked.is_file():
        with suppress(CorpusError):  # damaged: made anew below
            files = list(_read_zip(repacked, pattern))
            yield from files
            return
    files = list(_read_tgz(tgz, pattern))
    with suppress(StorageError):  # it only saves time, so a cache that is read-only will do
        _write_zip(repacked, files)
    yield from files


def _write_zip(target: Path, files: Iterable[File]) -> None:
    with (
        atomic_file(target) as scratch,
        zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
    ):
        for name, content in files:
            out.writestr(name, content)


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
