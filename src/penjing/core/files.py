"""Files and directories that are there whole or not at all."""

import errno
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penjing.core.errors import StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear error."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and run again",
            errno.EDQUOT: "the disk quota is used up; free some space and run again",
            errno.EFBIG: "the file is larger than the system allows here; raise the limit",
            errno.EIO: "the disk failed; choose another place",
            errno.ENOENT: "the folder cannot be made there; choose another place",
            errno.EACCES: "permission denied; choose a place that you may write to",
            errno.EPERM: "permission denied; choose a place that you may write to",
            errno.EROFS: "the file system is read-only; choose another place",
            errno.EEXIST: "a file stands where a folder is needed; choose another place",
            errno.EISDIR: "a folder stands there; choose another place",
            errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
            errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        }
        if error.errno not in reasons:
            raise
        raise StorageError(f"Cannot write {path}: {reasons[error.errno]}.") from error


@contextmanager
def atomic_directory(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a temporary directory beside `target`; it becomes `target` only when all went well.

    On any error, Ctrl-C included, the temporary directory is removed and `target` is as before.

    Raises:
        StorageError: `target` exists and `replace` is false, or the disk refuses.
    """
    if target.exists() and not replace:
        raise StorageError(f"{target} exists already. Choose another place, or remove it first.")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        )
        old = scratch.with_suffix(".old")
        try:
            scratch.chmod(0o755)
            yield scratch
            _sync(scratch)
            if replace and target.exists():
                target.rename(old)
            _rename_to_free(scratch, target)
            _sync_folder(target.parent)
        except BaseException as error:
            if old.exists() and not target.exists():
                old.rename(target)
            shutil.rmtree(scratch, ignore_errors=True)
            if isinstance(error, StorageError) and isinstance(error.__cause__, OSError):
                raise error.__cause__ from None  # of a file in it: told of `target` instead
            raise
        shutil.rmtree(old, ignore_errors=True)
        sweep(target, "old")


def _rename_to_free(scratch: Path, target: Path) -> None:
    """Raises StorageError if somebody else has made `target` since we looked."""
    try:
        scratch.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise StorageError(f"{target} exists already: another process has made it.") from None


def check_free(target: Path) -> None:
    """See early whether a new folder can be made at `target`, without making it.

    Raises:
        StorageError: something is there already, or its place cannot be written.
    """
    with storage_errors(target):
        if target.exists() or target.is_symlink():
            raise StorageError(
                f"{target} exists already. Choose another place, or remove it first."
            )
        place = next(parent for parent in target.absolute().parents if parent.exists())
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise StorageError(
                f"Cannot write {target}: {place} is no folder that you may write to."
            )


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Write a temporary file beside `target`; it replaces `target` only when all went well."""
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        scratch = Path(name)
        try:
            yield scratch
            scratch.chmod(0o644)
            scratch.replace(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise


def write_json(target: Path, value: Any) -> None:
    """Write figures for programs, indented for people; null where a number is not finite.

    Raises:
        StorageError: the disk refuses.
    """
    text = json.dumps(finite(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    with atomic_file(target) as scratch:
        # The name of a file may hold bytes that are no text: they become JSON's own escapes.
        scratch.write_bytes(text.encode("utf-8", errors="backslashreplace"))


def finite(value: Any) -> Any:
    """The same, with None for each figure that is not known: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sweep(target: Path, ending: str = "tmp") -> None:
    """Remove what killed processes left that were making the directory `target`, and nothing else.

    Only for who knows that nobody is making it now.

    Args:
        ending: "tmp": of a new one; "old": of earlier versions.
    """
    version = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.{ending}")  # as of mkdtemp
    for path in target.parent.iterdir():
        if version.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Ask the disk to have it all before the rename makes it visible."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """The names in it too: a file that is on the disk under no name is lost."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
