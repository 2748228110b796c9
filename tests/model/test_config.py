"""Sizes that follow from the dial, and sizes that do not fit."""

from dataclasses import replace
from typing import Any

import pytest

from penjing.core.errors import ConfigError
from penjing.model.config import FamilyName, ModelConfig


@pytest.mark.parametrize("depth", [1, 2, 4, 6, 8, 12])
def test_all_sizes_follow_from_the_depth(depth: int) -> None:
    config = ModelConfig(vocab_size=100, n_layer=depth).resolve()
    assert config.n_embd == 64 * depth == config.n_head * config.head_dim
    assert config.n_inner % 32 == 0
    assert config.n_inner / config.n_embd == pytest.approx(5 / 2, rel=0.01)


def test_a_size_that_is_given_is_kept() -> None:
    config = ModelConfig(vocab_size=9, n_embd=96, n_head=3, n_inner=100, head_dim=8).resolve()
    assert (config.n_embd, config.n_head, config.n_inner, config.head_dim) == (96, 3, 100, 8)
    assert config.resolve() == config


@pytest.mark.parametrize("family", ["rnn", "lstm"])
def test_what_means_nothing_to_a_recurrence_is_put_aside(family: FamilyName) -> None:
    asked = ModelConfig(
        family=family,
        vocab_size=9,
        n_layer=3,
        n_head=5,
        n_kv_head=2,
        head_dim=7,
        n_inner=-1,
        position="rope",
        rope_scaling="yarn",
        rope_factor=2.0,
        attention_bias=True,
    )
    full = asked.resolve()
    assert full == ModelConfig(family=family, vocab_size=9, n_layer=3).resolve() == full.resolve()
    assert (full.n_layer, full.n_embd, full.n_head, full.n_inner) == (3, 192, 0, 0)
    assert full.position == "none" and full.with_context(1000).context_length == 1000
    with pytest.raises(ConfigError, match="n_layer must be at least 1"):
        replace(asked, n_layer=0).resolve()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be at least 1"),
        ({"n_layer": 0}, "n_layer must be at least 1"),
        ({"context_length": -1}, "context_length must be at least 1"),
        ({"n_head": 4, "n_kv_head": 3}, "must be a multiple of"),
        ({"head_dim": 7}, "must be even"),
        ({"family": "gpt2", "n_head": 4, "n_kv_head": 2}, "n_kv_head = n_head"),
        ({"family": "gpt2", "n_embd": 65, "n_head": 4}, "n_embd 65"),
        ({"n_inner": -5}, "n_inner must be at least 1"),
        ({"rope_theta": -1.0}, "rope_theta must be above 0"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
    ],
)
def test_sizes_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**({"vocab_size": 10} | settings)).resolve()
