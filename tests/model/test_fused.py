"""Gradients written by hand against the plain form, in float64, and in training's bf16."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.model.attention import attend_plain, causal_bias
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.fused import normed_attention, rms_norm, swiglu
from penjing.model.positions import Rotary, rotate
from penjing.model.trace import Tap, record


def random(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=g, dtype=torch.float64).requires_grad_()


def same(ours: Tensor, plain: Tensor, inputs: tuple[Tensor, ...]) -> None:
    """Values and gradients, for a random direction."""
    direction = torch.randn(
        ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(9)
    )
    torch.testing.assert_close(ours, plain)
    mine = torch.autograd.grad((ours * direction).sum(), inputs)
    theirs = torch.autograd.grad((plain * direction).sum(), inputs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("scale", [1.0, 1e-4])  # at the small one, eps is all that there is
def test_rms_norm(scale: float) -> None:
    x, weight = random(3, 7, 16), random(16)
    small = (x.detach() * scale).requires_grad_()
    same(rms_norm(small, weight, 1e-6), F.rms_norm(small, (16,), weight, 1e-6), (small, weight))


def test_swiglu() -> None:
    x = random(3, 5, 24)
    gate, up = x.chunk(2, dim=-1)
    same(swiglu(x), F.silu(gate) * up, (x,))


@pytest.mark.parametrize(("n_head", "n_kv_head"), [(4, 4), (4, 2), (6, 2), (2, 1)])
def test_normed_attention(n_head: int, n_kv_head: int) -> None:
    qkv = random(3, 9, (n_head + 2 * n_kv_head) * 8)
    q_weight, k_weight = random(8, seed=1), random(8, seed=2)
    positions = torch.arange(9)
    bias = causal_bias(positions, positions, torch.float64)
    encoding = Rotary(ModelConfig(vocab_size=9, n_head=n_head, head_dim=8).resolve())
    turn = encoding.rotation(positions, torch.float64)
    ours = normed_attention(qkv, q_weight, k_weight, turn, bias, n_kv_head=n_kv_head, eps=1e-6)
    heads = qkv.view(3, 9, -1, 8)
    q, k, v = heads.split((n_head, n_kv_head, n_kv_head), dim=2)
    q = rotate(F.rms_norm(q, (8,), q_weight, 1e-6), turn).transpose(1, 2)
    k = rotate(F.rms_norm(k, (8,), k_weight, 1e-6), turn).transpose(1, 2)
    y = attend_plain(q, k, v.transpose(1, 2), bias, dropout=0.0, tap=Tap())
    same(ours, y.transpose(1, 2).reshape(3, 9, -1), (qkv, q_weight, k_weight))


@pytest.mark.parametrize("n_kv_head", [4, 1])
def test_a_model_trains_alike_in_both_forms(n_kv_head: int) -> None:
    """Listening to the attention weights takes the form that is spelled out."""
    config = ModelConfig(vocab_size=50, n_layer=2, n_embd=64, n_head=4, n_kv_head=n_kv_head)
    model = build_model(config, seed=1)
    ids = torch.randint(50, (4, 33), generator=torch.Generator().manual_seed(0))

    def gradients() -> list[Tensor]:
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        return [loss, *torch.autograd.grad(loss, list(model.parameters()))]

    by_hand = gradients()
    with record(model, "layers.*.attention.weights") as seen:
        spelled_out = gradients()
    assert len(seen) == 2
    for a, b in zip(by_hand, spelled_out, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_in_bf16_it_stays_as_close_as_bf16_can() -> None:
    config = ModelConfig(vocab_size=50, n_layer=2, n_embd=64, n_head=4)
    model = build_model(config, seed=1)
    ids = torch.randint(50, (4, 33), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.bfloat16().float())
        expected = model(ids)
    logits = model.bfloat16()(ids)  # with gradients: the form written by hand
    assert logits.requires_grad
    assert (logits.float() - expected).norm() / expected.norm() < 0.02
