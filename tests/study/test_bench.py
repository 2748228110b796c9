"""What the studies share: equal sizes, whole losses, and the figures of small helpers."""

import math

import pytest
import torch
from torch.nn import functional as F

from penjing.data.batches import Tokens
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.study.bench import closest_width, count_parameters
from penjing.study.lengths import later_half_loss
from penjing.study.optimizers import first_step_below
from penjing.study.parts import across, percent


@pytest.mark.parametrize("family", ["rnn", "lstm", "gpt2"])
def test_the_closest_width_is_the_closest(family):
    config = ModelConfig(family=family, vocab_size=100, n_layer=2, n_head=2)
    chosen = closest_width(config, 100_000)
    near = {
        width: abs(count_parameters(closest_width_at(config, width)) - 100_000)
        for width in (chosen.n_embd - 8, chosen.n_embd, chosen.n_embd + 8)
    }
    assert min(near, key=lambda width: near[width]) == chosen.n_embd
    assert build_model(chosen).n_parameters() == count_parameters(chosen)


def closest_width_at(config: ModelConfig, width: int) -> ModelConfig:
    from dataclasses import replace

    return replace(config, n_embd=width)


def test_the_later_half_of_each_window_is_judged():
    config = ModelConfig(vocab_size=11, context_length=8, n_layer=1, n_embd=16, n_head=1)
    model = build_model(config, seed=1)
    ids = torch.randint(0, 11, (30,), generator=torch.Generator().manual_seed(0))
    losses = []
    for start in (0, 8, 16):  # three whole windows; what is left is too short for a fourth
        window = ids[start : start + 9]
        with torch.no_grad():
            logits = model(window[None, :-1])[0, 4:]
        losses += F.cross_entropy(logits, window[5:], reduction="none").tolist()
    found = later_half_loss(model, Tokens(ids, 30, 1))
    assert found == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_first_step_below_interpolates():
    curve = [(10, 5.0), (20, 4.0), (30, 3.5)]
    assert first_step_below(curve, 4.5) == 15
    assert first_step_below(curve, 3.5) == 30
    assert first_step_below(curve, 6.0) == 10
    assert first_step_below(curve, 3.0) is None


def test_across_seeds():
    assert across([1.0, 2.0, 3.0], 1) == "2.0 (1.0-3.0)"
    assert across([2.5]) == across([2.5, 2.5]) == "2.500"
    assert percent([0.5, 1.0]) == "75.0 (50.0-100.0) %"
    assert math.isclose(float(across([1 / 3])), 1 / 3, abs_tol=5e-4)
