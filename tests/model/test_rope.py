"""RoPE's scalings against their papers' formulas, in NumPy and float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from penjing.core.errors import ConfigError
from penjing.model import rope
from penjing.model.config import ModelConfig
from penjing.model.families import build_model, with_context
from penjing.model.positions import Rotary

D, THETA, FACTOR, TRAINED = 64, 10000.0, 4.0, 256
PLAIN = THETA ** (-np.arange(0, D, 2) / D)  # radians a position


def config(scaling: str, **more: Any) -> ModelConfig:
    sizes = {"vocab_size": 50, "n_embd": 2 * D, "n_layer": 1, "head_dim": D, "n_head": 2}
    length = {"context_length": int(TRAINED * FACTOR), "rope_factor": FACTOR}
    return ModelConfig(**(sizes | length | {"rope_scaling": scaling} | more)).resolve()


def frequencies(scaling: str, **more: Any) -> np.ndarray:
    """Ours in NumPy; torch computes the same ones, as a model does on its device."""
    made = config(scaling, **more)
    got = rope.frequencies(made)
    theirs = rope.frequencies_of(torch.arange(D // 2).float(), made).numpy()
    assert got.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(theirs, got, rtol=2e-6)
    return got.astype(np.float64)


def test_without_scaling() -> None:
    np.testing.assert_allclose(frequencies("none", rope_factor=1.0), PLAIN, rtol=1e-5)


def test_linear_squeezes_positions() -> None:
    np.testing.assert_allclose(frequencies("linear"), PLAIN / FACTOR, rtol=1e-5)


def test_ntk_slows_the_slowest_by_the_factor_and_leaves_the_fastest() -> None:
    got = frequencies("ntk")
    theta = THETA * FACTOR ** (D / (D - 2))
    np.testing.assert_allclose(got, theta ** (-np.arange(0, D, 2) / D), rtol=1e-5)
    assert got[0] == PLAIN[0] == 1
    assert got[-1] == pytest.approx(PLAIN[-1] / FACTOR, rel=1e-5)


def test_yarn_keeps_what_turns_often_and_squeezes_what_never_turns() -> None:
    got, turns = frequencies("yarn"), TRAINED * PLAIN / (2 * math.pi)
    np.testing.assert_allclose(got[turns > 40], PLAIN[turns > 40], rtol=1e-5)
    np.testing.assert_allclose(got[turns < 0.7], PLAIN[turns < 0.7] / FACTOR, rtol=1e-5)
    between = (turns > 1.5) & (turns < 25)
    assert between.any()
    assert (got[between] < PLAIN[between]).all() and (got[between] > PLAIN[between] / FACTOR).all()
    assert (np.diff(got) < 0).all()
    assert rope.sharpness(config("yarn")) == pytest.approx(0.1 * math.log(4) + 1)


def test_yarns_sharpness_multiplies_the_scores() -> None:
    cos, sin = Rotary(config("yarn")).rotation(torch.arange(9), torch.float32)
    length = (cos[..., : D // 2] ** 2 + sin[..., : D // 2] ** 2).sqrt()
    torch.testing.assert_close(length, torch.full_like(length, 0.1 * math.log(4) + 1))


def test_llama3_by_wavelength() -> None:
    """Of the trained length: up to 1/4 as it was, from 1 on squeezed, a ramp between."""
    expected = []
    for f in PLAIN:
        share = TRAINED / (2 * math.pi / f)  # trained length / wavelength
        smooth = (share - 1) / (4 - 1)
        expected.append(
            f if share > 4 else f / FACTOR if share < 1 else (1 - smooth) * f / FACTOR + smooth * f
        )
    np.testing.assert_allclose(frequencies("llama3"), expected, rtol=1e-5)


@pytest.mark.parametrize("scaling", [s for s in rope.SCALINGS if s != "none"])
def test_a_factor_of_one_changes_nothing(scaling: str) -> None:
    same = config(scaling, rope_factor=1.0, context_length=TRAINED)
    np.testing.assert_allclose(rope.frequencies(same), PLAIN, rtol=1e-5)
    assert rope.sharpness(same) == 1


def test_the_trained_length_follows_from_the_factor() -> None:
    assert config("yarn").rope_original_context == TRAINED
    assert config("yarn", rope_original_context=100).rope_original_context == 100
    assert config("none", rope_factor=1.0).rope_original_context == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scaling": "none"}, "rope_scaling is 'none'"),
        ({"scaling": "none", "rope_factor": 1.0, "rope_original_context": 9}, "is 'none'"),
        ({"position": "alibi"}, "only RoPE can be stretched"),
        ({"family": "gpt2"}, "only RoPE can be stretched"),
        ({"rope_factor": 0.5}, "rope_factor must be from 1"),
        ({"rope_factor": float("nan")}, "rope_factor must be from 1"),
        ({"rope_original_context": -5}, "rope_original_context must be at least 1"),
        ({"scaling": "ntk", "head_dim": 2}, "head_dim of at least 4"),
        ({"rope_theta": 1.0}, "rope_theta above 1"),
    ],
)
def test_scalings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**({"scaling": "yarn"} | settings))


def test_another_context_on_the_same_weights() -> None:
    model = build_model(config("none", rope_factor=1.0, context_length=TRAINED))
    longer = with_context(model, 1024, "yarn")
    assert longer.config == config("yarn")
    assert longer.embedding.weight.data_ptr() == model.embedding.weight.data_ptr()  # type: ignore[union-attr]
    assert model.config.context_length == TRAINED and model.training and not longer.training
    ids = torch.randint(50, (1, 300), generator=torch.Generator().manual_seed(0))
    beyond = with_context(model, 1024)
    assert beyond.config.rope_scaling == "none"
    assert torch.equal(beyond(ids), model.eval()(ids))
    assert not torch.allclose(longer(ids), model(ids))
    # From a stretched model on, the trained length stays what it was.
    assert with_context(longer, 512, "linear").config.rope_factor == 2
    assert with_context(longer, 128, "yarn").config.rope_factor == 1
    back = with_context(longer, TRAINED)
    assert torch.equal(back(ids), model(ids))


def test_learned_positions_have_no_other_context() -> None:
    model = build_model(ModelConfig(family="gpt2", vocab_size=50, n_layer=1, context_length=16))
    with pytest.raises(ConfigError, match=r"table of 16 vectors: they have no context of 32"):
        with_context(model, 32)
    with pytest.raises(ConfigError, match="only RoPE can be stretched"):
        with_context(model, 16, "yarn")
    assert with_context(model, 16).config == model.config
