"""A model directory that speaks, with the settings that it recommends."""

import json

import pytest
import torch

from penjing.core.errors import CheckpointError, ConfigError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine import generate
from penjing.generate.load import DEFAULTS, load
from penjing.model.checkpoint import save_checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))


@pytest.fixture
def folder(tmp_path):
    config = ModelConfig(vocab_size=257, context_length=32, n_layer=1, n_embd=32, n_head=2)
    save_checkpoint(tmp_path / "m", model=build_model(config), tokenizer=BYTES)
    return tmp_path / "m"


def recommend(folder, **settings):
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return load(folder)


def test_it_speaks(folder):
    model = load(folder)
    text = "".join(step.text for step in model.generate("ab", seed=1, max_new_tokens=9))
    assert text == model.complete("ab", seed=1, max_new_tokens=9) != ""
    assert text != model.complete("ab", seed=2, max_new_tokens=9)
    assert model.config.context_length == 32
    assert model.tokenizer.fingerprint == BYTES.fingerprint
    assert not model.model.training


def test_the_engine_is_the_same(folder):
    model = load(folder)
    params = SamplingParams(temperature=2, seed=4, max_new_tokens=9, top_k=9)
    theirs = generate(model.model, model.tokenizer, "ab", params)
    mine = model.generate("ab", temperature=2, seed=4, max_new_tokens=9, top_k=9)
    assert list(mine) == list(theirs)


def test_without_recommendations(folder):
    assert recommend(folder).defaults == DEFAULTS
    (folder / "generation_config.json").unlink()
    model = load(folder)
    assert model.defaults == DEFAULTS and model.stop_ids == {256}


def test_recommendations(folder):
    model = recommend(folder, temperature=0.6, top_k=20, top_p=0.95, min_p=None, max_length=20)
    assert model.params(top_k=3) == SamplingParams(temperature=0.6, top_k=3, top_p=0.95)
    assert model.params() == SamplingParams(temperature=0.6, top_k=20, top_p=0.95)
    assert recommend(folder, do_sample=False).params().temperature == 0
    assert recommend(folder, do_sample=True, temperature=0.5).params().temperature == 0.5


def test_end_tokens(folder):
    assert recommend(folder, eos_token_id=65).stop_ids == {65}
    model = recommend(folder, eos_token_id=[65, 256])
    (step,) = model.generate("a", logit_bias={65: 100}, temperature=0)
    assert (step.id, step.text, step.finish_reason) == (65, "", "stop")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"temperature": "hot"}, "float needed"), ({"top_p": 7}, "top_p must be above 0")],
)
def test_recommendations_that_cannot_be_used(folder, settings, message):
    with pytest.raises(CheckpointError, match=f"generation_config.json: .*{message}"):
        recommend(folder, **settings)


def test_wrong_names_and_values(folder):
    model = load(folder)
    with pytest.raises(ConfigError, match=r"'temprature'\. Did you mean 'temperature'"):
        model.generate("a", temprature=1)
    with pytest.raises(ConfigError, match="top_k: int needed, got float"):
        model.generate("a", top_k=1.5)
    with pytest.raises(GenerationError, match="top_p must be"):
        model.generate("a", top_p=0)


def test_one_stop_string_may_stand_alone(folder):
    assert load(folder).params(stop="END").stop == ("END",)
    assert load(folder).params(stop=["a", "b"]).stop == ("a", "b")


def test_precision(folder):
    model = load(folder, dtype=torch.bfloat16)
    assert next(model.model.parameters()).dtype == torch.bfloat16
    assert len(list(model.generate("a", max_new_tokens=3, seed=0))) == 3


def test_no_such_directory(tmp_path):
    with pytest.raises(CheckpointError, match="no model directory"):
        load(tmp_path / "none")
