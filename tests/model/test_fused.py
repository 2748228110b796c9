"""Gradients written by hand against the plain form, in float64, and in training's bf16."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.model.attention import attend_plain, causal_bias
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.model.fused import gelu, rms_norm, swiglu
from penjing.model.fused_attention import block_length, joint_attention
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


def test_gelu() -> None:
    x = (8 * random(4, 9, 16).detach()).requires_grad_()
    same(gelu(x), F.gelu(x, approximate="tanh"), (x,))


@pytest.mark.parametrize(("n_head", "n_kv_head"), [(4, 4), (4, 2), (6, 2), (2, 1)])
@pytest.mark.parametrize("length", [1, 9, 64, 150])  # one block, a whole one, several
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_joint_attention(
    n_head: int, n_kv_head: int, length: int, normed: bool, turned: bool
) -> None:
    qkv = random(2, length, (n_head + 2 * n_kv_head) * 8)
    norms = random(8, seed=1), random(8, seed=2)
    positions = torch.arange(length)
    bias = causal_bias(positions, positions, torch.float64)
    encoding = Rotary(ModelConfig(vocab_size=9, n_head=n_head, head_dim=8).resolve())
    turn = encoding.rotation(positions, torch.float64) if turned else None
    before = qkv.detach().clone()
    ours = joint_attention(
        qkv,
        bias,
        n_head=n_head,
        n_kv_head=n_kv_head,
        norms=norms if normed else None,
        rotation=turn,
        eps=1e-6,
    )
    torch.testing.assert_close(qkv, before, rtol=0, atol=0)  # it is not the function's to change
    heads = qkv.view(2, length, -1, 8)
    q, k, v = heads.split((n_head, n_kv_head, n_kv_head), dim=2)
    if normed:
        q, k = (F.rms_norm(x, (8,), w, 1e-6) for x, w in zip((q, k), norms, strict=True))
    if turn is not None:
        q, k = rotate(q, turn), rotate(k, turn)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    y = attend_plain(q, k, v, bias, dropout=0.0, tap=Tap())
    plain = y.transpose(1, 2).reshape(2, length, -1)
    same(ours, plain, (qkv, *norms) if normed else (qkv,))


def test_blocks_have_enough_rows() -> None:
    assert [block_length(n, groups=2) for n in (1, 150, 1024)] == [64, 64, 128]
    assert [block_length(150, groups=g) for g in (1, 2, 8)] == [128, 64, 64]


@pytest.mark.parametrize(
    ("family", "n_kv_head"),
    [("qwen3", 4), ("qwen3", 1), ("llama", 2), ("gpt2", 4)],
)
def test_a_model_trains_alike_in_both_forms(family: FamilyName, n_kv_head: int) -> None:
    """Listening to the attention weights takes the form that is spelled out."""
    config = ModelConfig(
        family=family, vocab_size=50, n_layer=2, n_embd=64, n_head=4, n_kv_head=n_kv_head
    )
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
