"""The size of random weights."""

import pytest

from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import FAMILIES, build_model


@pytest.mark.parametrize("family", FAMILIES)
def test_gpt2s_scaled_initialisation(family: FamilyName) -> None:
    model = build_model(ModelConfig(family=family, vocab_size=500, n_layer=8, n_embd=128))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.abs().max() == 0, name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
            wanted = 0.02 / (2 * 8) ** 0.5 if residual else 0.02
            assert parameter.std().item() == pytest.approx(wanted, rel=0.05), name


@pytest.mark.parametrize("family", FAMILIES)
def test_zero_starts_each_block_as_the_identity(family: FamilyName) -> None:
    config = ModelConfig(family=family, vocab_size=50, n_layer=2, tie_embeddings=False)
    model = build_model(config, init="zero")
    zeros = [name for name, p in model.named_parameters() if p.ndim == 2 and not p.any()]
    assert zeros == [
        "layers.0.attention.output.weight",
        "layers.0.feed_forward.down.weight",
        "layers.1.attention.output.weight",
        "layers.1.feed_forward.down.weight",
        "unembedding.weight",
    ]
