"""Attention: the form to read, the fused form, and the formula in float64 are one."""

import math

import numpy as np
import pytest
import torch

from penjing.model.attention import attend, attend_fused, attend_plain, causal_bias
from penjing.model.position_tables import alibi_slopes
from penjing.model.trace import Tap


def random_qkv(n_head: int, n_kv_head: int, queries: int, keys: int) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(n_head + queries)
    q = torch.randn(2, n_head, queries, 16, generator=g)
    k, v = (torch.randn(2, n_kv_head, keys, 16, generator=g) for _ in range(2))
    return q, k, v


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    """The formula, head by head and query by query, in float64."""
    q_, k_, v_, b_ = (t.double().numpy() for t in (q, k, v, bias))
    out = np.zeros_like(q_)
    for b, h, t in np.ndindex(q_.shape[:3]):
        kv = h * k_.shape[1] // q_.shape[1]
        scores = k_[b, kv] @ q_[b, h, t] / math.sqrt(q_.shape[-1])
        scores = scores + (b_[h, t] if b_.ndim == 3 else b_[t])
        weights = np.exp(scores - scores.max())
        out[b, h, t] = weights / weights.sum() @ v_[b, kv]
    return out


@pytest.mark.parametrize("n_kv_head", [4, 2, 1])
@pytest.mark.parametrize("with_alibi", [False, True])
@pytest.mark.parametrize("past", [0, 7])
def test_plain_fused_and_formula_agree(n_kv_head: int, with_alibi: bool, past: int) -> None:
    q, k, v = random_qkv(4, n_kv_head, queries=9, keys=9 + past)
    queries, keys = torch.arange(past, past + 9), torch.arange(past + 9)
    bias = causal_bias(queries, keys, torch.float32)
    if with_alibi:
        distance = (queries[:, None] - keys).float()
        bias = bias - torch.from_numpy(alibi_slopes(4))[:, None, None] * distance
    plain = attend_plain(q, k, v, bias, dropout=0.0, tap=Tap())
    fused = attend_fused(q, k, v, bias, dropout=0.0)
    np.testing.assert_allclose(plain.numpy(), reference(q, k, v, bias), atol=2e-6)
    torch.testing.assert_close(fused, plain, rtol=0, atol=2e-6)


def test_the_fused_causal_shortcut_is_the_causal_mask() -> None:
    q, k, v = random_qkv(4, 2, 300, 300)
    positions = torch.arange(300)
    bias = causal_bias(positions, positions, torch.float32)
    masked = attend_fused(q, k, v, bias, dropout=0.0)
    shortcut = attend(q, k, v, bias, causal=True, dropout=0.0, tap=Tap())
    torch.testing.assert_close(shortcut, masked, rtol=0, atol=2e-6)


def test_gradients_agree() -> None:
    q, k, v = (t.requires_grad_() for t in random_qkv(4, 2, 20, 20))
    bias = causal_bias(torch.arange(20), torch.arange(20), torch.float32)
    weight = torch.randn(2, 4, 20, 16, generator=torch.Generator().manual_seed(0))
    gradients = []
    for y in (
        attend_plain(q, k, v, bias, dropout=0.0, tap=Tap()),
        attend_fused(q, k, v, None, dropout=0.0),
    ):
        gradients.append(torch.autograd.grad((y * weight).sum(), (q, k, v)))
    for plain, fused in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, fused, rtol=0, atol=1e-5)


def test_who_listens_sees_rows_that_sum_to_one() -> None:
    q, k, v = random_qkv(4, 4, 200, 200)
    bias = causal_bias(torch.arange(200), torch.arange(200), torch.float32)
    tap, seen = Tap(), []
    tap.register_forward_hook(lambda _m, _i, out: seen.append(out))
    attend(q, k, v, bias, causal=True, dropout=0.0, tap=tap)
    (weights,) = seen
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 200))
    assert weights.triu(1).abs().max() == 0


def test_dropout_drops_and_keeps_the_mean() -> None:
    q, k, v = random_qkv(4, 4, 64, 64)
    bias = causal_bias(torch.arange(64), torch.arange(64), torch.float32)
    torch.manual_seed(0)
    runs = [attend_plain(q, k, v, bias, dropout=0.3, tap=Tap()) for _ in range(400)]
    whole = attend_plain(q, k, v, bias, dropout=0.0, tap=Tap())
    assert not torch.equal(runs[0], runs[1])
    assert (torch.stack(runs).mean(0) - whole).abs().mean() < 0.03
