"""Each variant differs from the real model in what it says, and in nothing else."""

import pytest
import torch

from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.gpt2 import GPT2
from penjing.model.init import RESIDUAL
from penjing.model.llama import Llama
from penjing.study.order import ENCODINGS, PHRASES, ROUNDING, SETTINGS
from penjing.study.tasks import Order
from penjing.study.variants import (
    UnmaskedGPT2,
    UnmaskedLlama,
    WrongResidualGPT2,
    build_variant,
    unscale,
)

IDS = torch.randint(0, 20, (3, 12), generator=torch.Generator().manual_seed(0))


def tiny(family: str = "gpt2", **more: object) -> ModelConfig:
    sizes = {"vocab_size": 20, "context_length": 12, "n_layer": 2, "n_embd": 32, "n_head": 2}
    return ModelConfig(family=family, **{**sizes, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "family"), [(GPT2, "gpt2"), (Llama, "qwen3")])
def test_a_variant_begins_with_the_real_models_weights(kind, family):
    real, variant = build_model(tiny(family), seed=4), build_variant(kind, tiny(family), seed=4)
    assert all(
        torch.equal(a, b) for a, b in zip(real.parameters(), variant.parameters(), strict=True)
    )
    torch.testing.assert_close(real(IDS), variant(IDS))


@pytest.mark.parametrize(
    ("real", "unmasked", "family"),
    [(GPT2, UnmaskedGPT2, "gpt2"), (Llama, UnmaskedLlama, "qwen3")],
)
def test_without_the_mask_a_token_sees_what_comes_after_it(real, unmasked, family):
    changed = IDS.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 20
    for kind, leaks in ((real, False), (unmasked, True)):
        model = build_variant(kind, tiny(family), seed=1)
        same = torch.allclose(model(IDS)[:, 0], model(changed)[:, 0])
        assert same is not leaks


def test_without_the_mask_the_first_token_is_as_full_attention_makes_it():
    """One layer, one head, written out: torch's own attention without a mask is the oracle."""
    model = build_variant(UnmaskedGPT2, tiny(n_layer=1, n_head=1), seed=2)
    block = model.get_submodule("layers.0")
    x = model.get_submodule("embedding")(IDS) + model.get_parameter("position.table.weight")
    q, k, v = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    x = x + block.attention.output(mixed)
    x = x + block.feed_forward(block.norm2(x))
    torch.testing.assert_close(model(IDS), model.head(model.get_submodule("norm")(x)))


def test_alibi_without_the_mask_is_the_same_from_both_sides():
    model = build_variant(UnmaskedLlama, tiny("qwen3", position="alibi"), seed=3)
    torch.testing.assert_close(model(IDS.flip(1)), model(IDS).flip(1))


def test_the_wrong_residual_is_that_of_the_articles():
    model = build_variant(WrongResidualGPT2, tiny(n_layer=1), seed=2)
    real = build_model(tiny(n_layer=1), seed=2)
    block = real.get_submodule("layers.0")
    x = real.get_submodule("embedding")(IDS) + real.get_parameter("position.table.weight")
    positions = torch.arange(12)
    shared = real._shared(positions, None, causal=True, dtype=x.dtype)
    attended = x + block.attention(block.norm1(x), shared)
    after = x + block.feed_forward(block.norm2(attended))  # past the attention's output
    wrong = real.head(real.get_submodule("norm")(after))
    torch.testing.assert_close(model(IDS), wrong)
    assert not torch.allclose(real(IDS), wrong, atol=1e-4)


def test_plain_initialisation_has_std_002_everywhere():
    model = unscale(build_model(tiny(n_layer=8, n_embd=64), seed=0))
    for name, weight in model.named_parameters():
        if name.endswith(RESIDUAL):
            assert weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_none_is_a_bag_of_tokens_unless_layers_and_mask_tell(encoding, setting):
    """Random weights are enough: what cannot be told apart cannot be learned."""
    config = tiny("qwen3", vocab_size=7, n_layer=setting.n_layer, position=encoding)
    model = build_variant(setting.kind, config, seed=5).double()
    task = Order("小处不可随便", "小", "处", torch.empty(0), rows=1, seed=0)
    inputs = task.ask(torch.cat([task.encode(phrase) for phrase in PHRASES])).inputs
    one, two = model(inputs)[:, -1].softmax(-1)
    bag = encoding == "none" and setting.name != "two layers, causal"
    assert ((one - two).abs().max().item() < ROUNDING) is bag
