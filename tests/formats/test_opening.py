"""A model by its path or name."""

import shutil
from pathlib import Path

import pytest

from penjing.core.errors import CheckpointError
from penjing.formats import opening
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.opening import open_checkpoint
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layer=1, n_embd=32, head_dim=16)
    return save_checkpoint(
        tmp_path / "run" / "model", model=build_model(config), tokenizer=tokenizer
    ).path


def test_a_directory_and_a_run(directory):
    for path in (directory, directory.parent, str(directory)):
        checkpoint = open_checkpoint(path)
        assert type(checkpoint) is Checkpoint and checkpoint.path == directory


def test_a_gguf_file_whatever_it_is_called(make_gguf, tmp_path):
    shutil.copy(make_gguf(), tmp_path / "model.bin")
    assert type(open_checkpoint(tmp_path / "model.bin")) is GgufCheckpoint


def test_a_package_model_unless_a_file_has_its_name(make_gguf, directory, tmp_path, monkeypatch):
    path = make_gguf()
    monkeypatch.setattr(opening, "fetch_model", lambda name, listener=None: path)
    monkeypatch.chdir(tmp_path)
    assert open_checkpoint("smollm2").path == path
    directory.rename(tmp_path / "smollm2")
    assert open_checkpoint("smollm2").path == Path("smollm2")


def test_what_is_none(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model directory smollm,.* mean 'smollm2'\?"):
        open_checkpoint("smollm")
    with pytest.raises(CheckpointError, match="aaa cannot be read: File name too long"):
        open_checkpoint("a" * 300)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(CheckpointError, match=r"text\.txt is no GGUF file"):
        open_checkpoint(tmp_path / "text.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        open_checkpoint(tmp_path / "empty")
