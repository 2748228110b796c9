"""The size of random weights."""

import pytest
import torch

from penjing.model.config import RECURRENT, FamilyName, ModelConfig
from penjing.model.families import FAMILIES, build_model
from penjing.model.init import InitName

TRANSFORMERS = [family for family in FAMILIES if family not in RECURRENT]


@pytest.mark.parametrize("family", TRANSFORMERS)
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


@pytest.mark.parametrize("family", TRANSFORMERS)
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


@pytest.mark.parametrize("family", RECURRENT)
@pytest.mark.parametrize("init", ["scaled", "zero"])
def test_a_recurrence_starts_orthogonal_and_an_lstm_does_not_forget(
    family: FamilyName, init: InitName
) -> None:
    config = ModelConfig(family=family, vocab_size=500, n_layer=2, n_embd=64)
    for name, parameter in build_model(config, init=init).named_parameters():
        if name.endswith("recurrent.weight"):
            for gate in parameter.split(64):
                torch.testing.assert_close(gate @ gate.T, torch.eye(64), rtol=0, atol=1e-5)
        elif name.endswith("bias"):
            forget = [0.0] * 64 + [1.0] * 64 + [0.0] * 128
            assert parameter.tolist() == (forget if family == "lstm" else [0.0] * 64)
        elif "norm" in name:
            assert (parameter == 1).all()
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name
