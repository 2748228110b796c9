"""Listening in: what is seen is what is computed, and it costs nothing to others."""

import pytest
import torch

from penjing.core.errors import ConfigError
from penjing.model.config import RECURRENT, FamilyName, ModelConfig
from penjing.model.families import FAMILIES, build_model
from penjing.model.trace import Tap, record, taps

IDS = torch.arange(20)[None]


@pytest.mark.parametrize("family", FAMILIES)
def test_all_points_are_seen(family: FamilyName) -> None:
    model = build_model(ModelConfig(family=family, vocab_size=30, n_layer=2)).eval()
    silent = model(IDS)
    with record(model, "*") as seen:
        logits = model(IDS)
    assert list(seen) and set(seen) == set(taps(model))
    assert torch.equal(seen["logits"], logits)
    torch.testing.assert_close(silent, logits, rtol=0, atol=1e-6)
    if "layers.1.attention.weights" in taps(model):
        assert seen["layers.1.attention.weights"].shape == (1, 2, 20, 20)
    else:
        assert family in RECURRENT and seen["layers.1.cell.states"].shape[:2] == (1, 20)
    assert seen["layers.0.residual"].shape == seen["embedded"].shape == (1, 20, 128)


def test_nobody_listens_afterwards() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=1))
    with pytest.raises(ValueError), record(model, "layers.*"):
        raise ValueError
    assert not any(m.listening for m in model.modules() if isinstance(m, Tap))


def test_a_name_that_is_not_there() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=1))
    with (
        pytest.raises(ConfigError, match=r"Did you mean 'layers.0.attention.weights'"),
        record(model, "layers.0.attention.weight"),
    ):
        pass


def test_taps_hold_no_weights() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=1))
    assert not any("weights" in name for name in model.state_dict())
