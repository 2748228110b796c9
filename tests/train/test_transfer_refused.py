"""Going on from a model: what cannot be done, and is told before any work."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.train.further import further, gpt2, llama, training
from tokenizers import Tokenizer as Backend
from tokenizers import models

from penjing.core.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    PenjingError,
    TokenizerError,
)
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.tensor_files import SINGLE
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import (
    PretrainConfig,
)
from penjing.train.pretrain import pretrain


def refused(config: PretrainConfig, out: Path, error: type[PenjingError], message: str) -> None:
    with pytest.raises(error, match=message):
        pretrain(config, out=out)
    assert not out.exists()


def test_settings_that_contradict_the_model(folder: Path, tmp_path: Path) -> None:
    good, out = further(folder), tmp_path / "run"

    def model(**settings: Any) -> PretrainConfig:
        return replace(good, model=ModelConfig(**settings))

    refused(model(n_layer=6), out, ConfigError, r"model.n_layer = 6 \(there 2\): not those of")
    refused(model(family="gpt2"), out, ConfigError, "model.family = 'gpt2'")
    refused(model(context_length=64), out, ConfigError, "Another context is start.context_length")
    refused(model(rope_scaling="yarn"), out, ConfigError, "name it with start.context_length")
    for settings in ({"kind": "char"}, {"vocab_size": 999}, {"split": "gpt2"}):
        config = replace(good, tokenizer=TokenizerConfig(**settings))
        refused(config, out, ConfigError, f"tokenizer.{next(iter(settings))} = ")
    same = replace(
        good,
        model=ModelConfig(n_layer=2, n_embd=32, context_length=32, family="qwen3"),
        tokenizer=TokenizerConfig(vocab_size=280),
        train=training(steps=1),
    )
    assert pretrain(same, out=tmp_path / "same").checkpoint.config.n_embd == 32


def test_settings_that_contradict_each_other(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    refused(further(folder, {"model": "", "new_tokens": 5}), out, ConfigError, "start.model")
    refused(further(folder, {"replay_fraction": 0.5}), out, ConfigError, "needs start.replay")
    refused(further(folder, {"replay_fraction": 1.0}), out, ConfigError, "from 0 to below 1")
    refused(further(folder, {"new_tokens": -1}), out, ConfigError, "start.new_tokens must be")
    refused(further(folder, {"context_length": -1}), out, ConfigError, "start.context_length must")
    refused(further(folder, {"new_tokens": 9999}), out, TokenizerError, "gives at most")
    refused(further(folder, {"replay": ("nowhere.txt",)}), out, DataError, "nowhere.txt")


def test_models_that_cannot_be_trained(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def copy(name: str) -> Path:
        shutil.copytree(folder / "parent" / "model", tmp_path / name)
        return tmp_path / name

    def start(place: Path) -> PretrainConfig:
        return further(folder, {"model": str(place)})

    def configured(name: str, **entries: Any) -> PretrainConfig:
        file = copy(name) / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | entries))
        return start(file.parent)

    refused(start(tmp_path / "none"), out, CheckpointError, "no model directory")
    quantized = configured("quantized", quantization_config={"quant_method": "gptq"})
    refused(quantized, out, CheckpointError, "quantized weights, which cannot be trained")
    refused(configured("mamba", model_type="mamba"), out, CheckpointError, "'mamba' is not one")
    mute = copy("mute")
    (mute / "tokenizer.json").unlink()
    refused(start(mute), out, TokenizerError, "no tokenizer at")
    empty = copy("empty")
    (empty / SINGLE).unlink()
    refused(start(empty), out, CheckpointError, "has no weights")


def test_learned_positions_have_an_end(folder: Path, tmp_path: Path) -> None:
    gpt2(300).save_pretrained(tmp_path / "theirs")
    Checkpoint.open(folder / "parent").tokenizer.save(tmp_path / "theirs")
    config = further(folder, {"model": str(tmp_path / "theirs"), "context_length": 49})
    refused(config, tmp_path / "run", ConfigError, "learned positions, a table of 48")


def test_a_vocabulary_of_bytes_learns_nothing(folder: Path, tmp_path: Path) -> None:
    llama(300).save_pretrained(tmp_path / "theirs")
    train_tokenizer([], TokenizerConfig(kind="byte")).save(tmp_path / "theirs")
    start = {"model": str(tmp_path / "theirs"), "new_tokens": 5}
    refused(further(folder, start), tmp_path / "run", TokenizerError, "nothing to add")
    unknown = Backend(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    unknown.save(str(tmp_path / "theirs" / "tokenizer.json"))
    (tmp_path / "theirs" / "tokenizer_config.json").unlink()
    refused(further(folder, start), tmp_path / "run", TokenizerError, "cannot be extended")
