"""`penjing pretrain --from`: whose settings hold, and a whole run."""

import pytest

from penjing.cli.errors import UsageError
from penjing.cli.verbs.pretrain import read_arguments
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.recipes.recipes import RECIPES
from penjing.tokenizer.config import TokenizerConfig


def test_a_recipe_brings_text_and_training_but_not_a_model(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text("[model]\ndropout = 0.1\n[train]\nsteps = 5\n")
    words = ["tang", "--from", "runs/one", "--config", str(toml), "--start.new-tokens", "7"]
    settings = read_arguments(words).settings
    recipe = RECIPES["tang"]()
    assert settings.data == recipe.data
    assert settings.train.optimizer == recipe.train.optimizer and settings.train.steps == 5
    assert settings.model == ModelConfig(dropout=0.1)
    assert settings.tokenizer == TokenizerConfig()
    assert (settings.start.model, settings.start.new_tokens) == ("runs/one", 7)


def test_the_file_may_name_the_model(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text('[start]\nmodel = "runs/one"\nreplay = ["old.txt"]\n')
    settings = read_arguments(["text", "--config", str(toml)]).settings
    assert settings.model == ModelConfig() and settings.start.replay == ("old.txt",)


def test_the_dial_is_for_models_from_scratch():
    with pytest.raises(UsageError, match="--depth is for a model from scratch"):
        read_arguments(["--from", "runs/one", "--depth", "3"])


def test_a_whole_run(penjing, text_file, model_dir, tmp_path):
    settings = {"steps": 4, "batch-size": 4, "threads": 1, "eval-every": 0, "sample-tokens": 4}
    words = [word for name, n in settings.items() for word in (f"--train.{name}", str(n))]
    (tmp_path / "old.txt").write_text("A hundred lines of another text.\n" * 100)
    result = penjing(
        "pretrain", "--from", str(model_dir), "--data.sources", str(text_file), *words,
        "--start.replay", "old.txt", "--start.context-length", "32",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "bits per byte" in result.out and "general: old.txt" in result.out
    checkpoint = Checkpoint.open("runs/text")
    assert checkpoint.config.context_length == 32 and checkpoint.config.n_embd == 32
    assert [line.operation for line in checkpoint.lineage] == ["pretrain", "pretrain"]


def test_what_contradicts_the_model_is_one_paragraph(penjing, text_file, model_dir, tmp_path):
    words = ["--data.sources", str(text_file), "--model.n-layer", "3"]
    result = penjing("pretrain", "--from", str(model_dir), *words)
    assert result.code == 1 and "model.n_layer = 3 (there 1)" in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "runs").exists()
