"""Position encodings against their formulas, and what each can and cannot do."""

import numpy as np
import pytest
import torch

from penjing.core.errors import ConfigError
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.position_tables import alibi_slopes, sinusoids
from penjing.model.positions import POSITIONS, Rotary, rotate


def config(**more: object) -> ModelConfig:
    return ModelConfig(vocab_size=50, n_embd=32, n_head=4, context_length=16, **more).resolve()  # type: ignore[arg-type]


def test_rope_turns_each_pair_by_its_angle() -> None:
    """As complex numbers, in float64: x_i * exp(j * position * theta^(-2i/D))."""
    x = torch.randn(2, 10, 3, 8, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([0, 1, 2, 3, 50, 51, 52, 700, 701, 4000])
    encoding = Rotary(config(head_dim=8))
    turned = rotate(x, encoding.rotation(positions, torch.float32)).double().numpy()
    pairs = x[..., :4].double().numpy() + 1j * x[..., 4:].double().numpy()
    angles = positions.numpy()[:, None] * 10000.0 ** (-np.arange(0, 8, 2) / 8)
    expected = pairs * np.exp(1j * angles)[None, :, None]
    np.testing.assert_allclose(turned[..., :4], expected.real, atol=5e-4)
    np.testing.assert_allclose(turned[..., 4:], expected.imag, atol=5e-4)


def test_rope_scores_depend_on_distance_alone() -> None:
    encoding = Rotary(config(head_dim=8))
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(1))

    def score(a: int, b: int) -> float:
        turned = [
            rotate(x, encoding.rotation(torch.tensor([p]), torch.float32))
            for x, p in ((q, a), (k, b))
        ]
        return float((turned[0] * turned[1]).sum())

    assert score(5, 2) == pytest.approx(score(105, 102), abs=1e-4)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-2)


def test_sinusoids_follow_the_paper() -> None:
    encoding = POSITIONS["sinusoidal"](config())
    added = encoding.embed(torch.zeros(1, 6, 32), torch.arange(6))[0].double().numpy()
    for position in range(6):
        for i in range(0, 32, 2):
            angle = position / 10000 ** (i / 32)
            scale = 0.02 * np.sqrt(2)
            assert added[position, i] == pytest.approx(scale * np.sin(angle), abs=1e-7)
            assert added[position, i + 1] == pytest.approx(scale * np.cos(angle), abs=1e-7)
    assert (added**2).mean() ** 0.5 == pytest.approx(0.02, rel=1e-3)  # as large as the embeddings


def test_alibi_slopes_are_the_papers() -> None:
    assert alibi_slopes(8).tolist() == [2**-i for i in range(1, 9)]
    expected = [2 ** (-8 * (i + 1) / 8) for i in range(8)]
    expected += [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]  # every second of the series for 16
    np.testing.assert_allclose(alibi_slopes(12), expected, rtol=1e-6)


def test_learned_positions_end_where_training_did() -> None:
    model = build_model(config(family="gpt2", n_layer=1))
    with pytest.raises(ConfigError, match="Position 16 was asked for, but learned positions end"):
        model(torch.zeros(1, 17, dtype=torch.int64))


@pytest.mark.parametrize("position", ["sinusoidal", "rope", "alibi", "none"])
def test_the_others_go_beyond_the_trained_length(position: str) -> None:
    model = build_model(config(position=position, n_layer=1))
    assert model(torch.zeros(1, 40, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("width", [6, 7, 64])
def test_sinusoids_are_those_of_the_module(width: int) -> None:
    config = ModelConfig(vocab_size=9, n_embd=width, n_head=1, position="sinusoidal", family="gpt2")
    encoded = POSITIONS["sinusoidal"](config).embed(torch.zeros(1, 50, width), torch.arange(50))
    np.testing.assert_allclose(sinusoids(50, width), encoded[0].numpy(), rtol=0, atol=2e-7)
