"""Small texts, and a small model to go on from."""

from pathlib import Path

import pytest
import torch
from tests.train.further import CODE, VERSE, training
from tests.train.stopped import VERSE as LINES

from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig
from penjing.train.pretrain import pretrain


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "verse.txt"
    file.write_text("".join(f"{i} bottles: {LINES}" for i in range(60)), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two texts, and a small model of the first."""
    folder = tmp_path_factory.mktemp("transfer")
    (folder / "verse.txt").write_text("".join(VERSE.format(i) for i in range(60)))
    (folder / "code.txt").write_text("".join(CODE.format(i) for i in range(90)))
    torch.set_num_threads(1)
    config = PretrainConfig(
        data=DataConfig((str(folder / "verse.txt"),), 0.1),
        tokenizer=TokenizerConfig(vocab_size=280),
        model=ModelConfig(n_layer=2, n_embd=32, context_length=32),
        train=training(steps=60),
    )
    pretrain(config, out=folder / "parent")
    return folder
