"""Causal attention from the joint projection, with its gradient written by hand.

Queries are read in blocks, each with the keys up to its own end: of the scores that the causal mask
would hide, only those inside a block are computed. It stores the weights, as the plain form does,
half of them at long T. See `penjing.model.fused` for why; tests hold it equal to the plain form.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from penjing.model.base import Pass
from penjing.model.fused import by_hand, inverse_rms

LONGEST = 1024  # tokens; the stored weights (H, T, T / 2) of longer windows take too much memory


def pays(x: Tensor, shared: Pass, *, dropout: float) -> bool:
    """Whether attention on x (B, T, C) is training in a case that this file is faster at.

    bf16 gains at any length, for torch's fused kernel is slow in it; float32 at short ones.
    """
    longest = LONGEST if x.dtype == torch.bfloat16 else 64
    return (
        by_hand(x)
        and x.size(1) <= longest
        and shared.causal
        and shared.cache is None
        and dropout == 0
    )


def joint_attention(
    qkv: Tensor,
    bias: Tensor,
    *,
    n_head: int,
    n_kv_head: int,
    norms: tuple[Tensor, Tensor] | None = None,
    rotation: tuple[Tensor, Tensor] | None = None,
    eps: float = 0.0,
) -> Tensor:
    """softmax(q k^T / sqrt(D) + bias) v, of queries, keys and values that lie side by side.

    Shapes: qkv (B, T, (H + 2 * H_kv) * D), the causal bias (T, T); the result is (B, T, H * D).
    `norms` are the weights (D,) of Qwen3's norms on queries and on keys; `rotation` is RoPE's cos
    and sin (T, 1, D), which comes after them.
    """
    q_weight, k_weight = norms or (None, None)
    cos, sin = rotation or (None, None)
    y: Tensor = _JointAttention.apply(  # type: ignore[no-untyped-call]
        qkv, q_weight, k_weight, cos, sin, bias, n_head, n_kv_head, eps
    )
    return y


def block_length(length: int, groups: int) -> int:
    """How many queries of each of `groups` heads are looked at together.

    Short blocks save work. Products of fewer than 128 rows, and very many of them, are slow.
    """
    return max(64, 128 // groups, length // 8)


class _JointAttention(torch.autograd.Function):
    """Queries and keys are normed and turned as one tensor; the query heads that share a key head
    meet it in one product of (G * block, D) with (D, keys), where G = H / H_kv.
    """

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        q_weight: Tensor | None,
        k_weight: Tensor | None,
        cos: Tensor | None,
        sin: Tensor | None,
        bias: Tensor,
        n_head: int,
        n_kv_head: int,
        eps: float,
    ) -> Tensor:
        batch, length, width = qkv.shape
        size = width // (n_head + 2 * n_kv_head)  # D
        heads = qkv.view(batch, length, -1, size).transpose(1, 2)
        heads = heads.clone(memory_format=torch.contiguous_format)  # (B, heads, T, D)
        x, v = torch.split(heads, [n_head + n_kv_head, n_kv_head], dim=1)
        scale = size**-0.5
        normed: tuple[Tensor, ...] = ()
        if q_weight is not None and k_weight is not None:
            inv = inverse_rms(x, eps)
            n = x * inv
            per_head = (q_weight * scale).expand(n_head, 1, -1), k_weight.expand(n_kv_head, 1, -1)
            weight = torch.cat(per_head)
            normed = (n, inv, weight)
            x = n * weight
        else:
            x[:, :n_head].mul_(scale)
        if cos is not None and sin is not None:
            cos, sin = cos.squeeze(1), sin.squeeze(1)  # (T, D)
            x = _turn(x, cos, sin)
        k = x[:, n_head:].reshape(-1, length, size)  # (B * H_kv, T, D)
        v = v.reshape(-1, length, size)
        q = x[:, :n_head].view(batch, n_kv_head, -1, length, size)  # (B, H_kv, G, T, D)
        out = qkv.new_empty(batch, length, n_kv_head, n_head // n_kv_head, size)
        queries, weights = [], []
        for start, end in _blocks(length, n_head // n_kv_head):
            block = q[:, :, :, start:end].flatten(2, 3).flatten(0, 1)  # (B * H_kv, G * block, D)
            scores = torch.bmm(block, k[:, :end].mT)
            own = scores.view(len(scores), -1, end - start, end)[..., start:]  # keys of this block
            own.add_(bias[start:end, start:end])
            p = torch.softmax(scores, -1)
            mixed = torch.bmm(p, v[:, :end]).view(batch, n_kv_head, -1, end - start, size)
            out[:, start:end] = mixed.permute(0, 3, 1, 2, 4)
            queries.append(block)
            weights.append(p)
        ctx.save_for_backward(k, v, cos, sin, *normed, *queries, *weights)
        ctx.sizes = n_head, n_kv_head, len(normed)
        return out.view(batch, length, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n_head, n_kv_head, n_normed = ctx.sizes
        k, v, cos, sin, *rest = ctx.saved_tensors
        normed, rest = rest[:n_normed], rest[n_normed:]
        queries, weights = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        batch, length, _ = grads[0].shape
        size = k.size(-1)
        g = grads[0].view(batch, length, n_kv_head, -1, size).permute(0, 2, 3, 1, 4)
        d = g.new_empty(batch, n_head + 2 * n_kv_head, length, size)  # the gradient of qkv
        d_x, d_v = torch.split(d, [n_head + n_kv_head, n_kv_head], dim=1)
        d_q, d_k = torch.split(d_x, [n_head, n_kv_head], dim=1)
        d_q = d_q.view(batch, n_kv_head, -1, length, size)  # (B, H_kv, G, T, D)
        blocks = list(zip(_blocks(length, n_head // n_kv_head), queries, weights, strict=True))
        for (start, end), q, p in reversed(blocks):  # the last sees all keys
            mixed = g[:, :, :, start:end].flatten(2, 3).flatten(0, 1)  # (B * H_kv, G * block, D)
            ds = torch._softmax_backward_data(torch.bmm(mixed, v[:, :end].mT), p, -1, p.dtype)
            d_q[:, :, :, start:end] = torch.bmm(ds, k[:, :end]).view_as(d_q[:, :, :, start:end])
            for total, part in ((d_k, torch.bmm(ds.mT, q)), (d_v, torch.bmm(p.mT, mixed))):
                part = part.view(batch, n_kv_head, end, size)
                if end == length:
                    total.copy_(part)
                else:
                    total[:, :, :end].add_(part)
        if cos is not None:
            d_x.copy_(_turn(d_x, cos, -sin))  # turned back
        d_weights: tuple[Tensor | None, Tensor | None] = None, None
        if normed:
            d_norms = _unnorm(d_x, *normed)  # (heads, D)
            d_weights = d_norms[:n_head].sum(0) * size**-0.5, d_norms[n_head:].sum(0)
        else:
            d_x[:, :n_head].mul_(size**-0.5)
        d_qkv = d.transpose(1, 2).reshape(batch, length, -1)
        return d_qkv, *d_weights, None, None, None, None, None, None


def _unnorm(d: Tensor, n: Tensor, inv: Tensor, weight: Tensor) -> Tensor:
    """From the gradient d (B, heads, T, D) of n * weight to that of n / inv, in place.

    Returns the gradient of the weight, (heads, D).
    """
    d_weight = (d * n).sum(0).sum(1)
    d.mul_(weight)
    mean = (d * n).sum(-1, keepdim=True).mul_(-1 / d.size(-1))
    d.addcmul_(n, mean).mul_(inv)
    return d_weight


def _blocks(length: int, groups: int) -> list[tuple[int, int]]:
    """(start, end) of each block of queries; the last ends at `length`."""
    step = block_length(length, groups)
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on (B, heads, T, D); see `penjing.model.positions.rotate`."""
    return (x * cos).addcmul_(x.roll(x.size(-1) // 2, -1), sin)
