"""What every recipe promises: settings that are whole, and a dial that changes the size."""

from dataclasses import replace

import pytest

from penjing.core.config import from_dict, to_dict
from penjing.data.corpora import CORPORA
from penjing.recipes.recipes import RECIPES
from penjing.tokenizer.config import KindName
from penjing.train.config import PretrainConfig

every_recipe = pytest.mark.parametrize("name", RECIPES)


@every_recipe
def test_its_settings_can_work(name):
    config = RECIPES[name]()
    config.train.check()
    assert config.tokenizer.kind in KindName.__args__
    replace(config.model, vocab_size=config.tokenizer.vocab_size).resolve()
    if name != "text":  # that one is for the user's own
        config.data.check()
        assert {source.removeprefix("corpus:") for source in config.data.sources} <= set(CORPORA)


@every_recipe
def test_the_dial_changes_the_depth_and_nothing_else_stays_behind(name):
    assert RECIPES[name]() == RECIPES[name](RECIPES[name].depth)
    for depth in (1, 2, 6):
        model = replace(RECIPES[name](depth).model, vocab_size=256).resolve()
        assert model.n_layer == depth


@every_recipe
def test_it_can_be_written_to_a_file_and_read_back(name):
    config = RECIPES[name]()
    again = from_dict(PretrainConfig, to_dict(config), where="test", base=PretrainConfig())
    assert again == config


@every_recipe
def test_it_says_what_it_is(name):
    assert 0 < len(RECIPES[name].summary) < 80
