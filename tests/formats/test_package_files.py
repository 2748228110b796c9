"""Files of packages: verified, taken out or converted once, whole or not at all."""

import hashlib
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from penjing.core.errors import CorpusError
from penjing.core.events import Event
from penjing.data.fetch import PackageSource, sha256_of
from penjing.formats.package_files import Conversion, PackageFile, keep_file

CONTENT = "盆景 and so on".encode() * 1000


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def shout(raw: bytes) -> str:
    return raw.decode().upper()


LOUD = Conversion(shout, digest(shout(CONTENT).encode()))


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFile:
    """A file of a tiny package, which is all that there is: nothing can be fetched."""
    packages = tmp_path / "packages"
    packages.mkdir()
    with zipfile.ZipFile(packages / "tiny-1.0.whl", "w") as wheel:
        wheel.writestr("tiny/file", CONTENT)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    sha256 = sha256_of(packages / "tiny-1.0.whl")
    return PackageFile(
        name="tiny",
        title="a tiny file",
        licence="MIT",
        package=PackageSource("pypi", "tiny", "1.0", "tiny-1.0.whl", sha256),
        member="tiny/file",
        sha256=digest(CONTENT),
    )


@pytest.mark.parametrize(("conversion", "kept"), [(None, CONTENT), (LOUD, shout(CONTENT).encode())])
def test_it_is_taken_out_once(tmp_path: Path, known: PackageFile, conversion, kept: bytes) -> None:
    known = replace(known, conversion=conversion)
    events: list[Event] = []

    def get() -> Path:
        return keep_file(known, tmp_path / "kept" / "file", cache=tmp_path, listener=events.append)

    path = get()
    assert path.read_bytes() == kept and [file.name for file in path.parent.iterdir()] == ["file"]
    (said,) = events
    assert said.kind == "corpus"
    assert said.data == {"name": "tiny", "title": "a tiny file", "licence": "MIT"}
    path.write_bytes(kept[:-1])
    assert get().read_bytes() == kept and len(events) == 2  # a damaged one is replaced
    (tmp_path / "packages" / "tiny-1.0.whl").unlink()  # from now on the file itself must do
    assert get() == path and len(events) == 2
    path.unlink()
    with pytest.raises(CorpusError, match="pip is needed"):
        get()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"sha256": "0" * 64},
            r"tiny/file of .*tiny-1\.0\.whl is not the file .* expected 0{64}, got",
        ),
        ({"member": "tiny/other"}, r"tiny-1\.0\.whl holds no file tiny/other"),
        (
            {"conversion": Conversion(shout, "0" * 64)},
            r"What tiny/file of .* was converted to is not the file",
        ),
    ],
)
def test_what_is_not_the_known_file_is_not_kept(
    tmp_path: Path, known: PackageFile, change: dict[str, object], said: str
) -> None:
    with pytest.raises(CorpusError, match=said):
        keep_file(replace(known, **change), tmp_path / "file", cache=tmp_path, listener=None)
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_large_file_is_never_in_memory_as_a_whole(
    tmp_path: Path, known: PackageFile, how: int
) -> None:
    content = CONTENT * 500
    wheel = tmp_path / "packages" / "tiny-1.0.whl"
    with zipfile.ZipFile(wheel, "w", how) as archive:
        archive.writestr("tiny/file", content)
    package = replace(known.package, sha256=sha256_of(wheel))
    known = replace(known, package=package, sha256=digest(content))
    tracemalloc.start()
    try:
        path = keep_file(known, tmp_path / "file", cache=tmp_path, listener=None)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size == len(content) > 5_000_000 and most < 2_000_000
