"""Steps of a block with their gradients written by hand, for training small models on a CPU.

There, eager autograd spends more on starting many small operations, and on writing what lies
between them to memory, than on the arithmetic. Each function here computes what the plain formula
beside it says, in fewer operations; tests hold values and gradients equal to the plain form's.
Statistics stay in the tensor's own type: a product of bf16 with float32 is slow on a CPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019)."""
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return F.rms_norm(x, weight.shape, weight, eps)
    y: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return y


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, of the two halves of the last axis (Shazeer 2020)."""
    if gate_up.device.type != "cpu" or not torch.is_grad_enabled():
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate) * up
    y: Tensor = _SwiGLU.apply(gate_up)  # type: ignore[no-untyped-call]
    return y


def normed_attention(
    qkv: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    rotation: tuple[Tensor, Tensor],
    bias: Tensor,
    *,
    n_kv_head: int,
    eps: float,
) -> Tensor:
    """Qwen3's attention from the joint projection: QK-norm, RoPE, causal attention.

    Shapes: qkv (B, T, (H + 2 * H_kv) * D), norm weights (D,), cos and sin (T, 1, D), bias (T, T);
    the result is (B, T, H * D). For short T: it stores the (T, T) weights.
    """
    y: Tensor = _NormedAttention.apply(  # type: ignore[no-untyped-call]
        qkv, q_weight, k_weight, *rotation, bias, n_kv_head, eps
    )
    return y


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """1 / sqrt(mean(x^2) + eps) over the last axis, which stays with size 1."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.square_().div_(x.size(-1)).add_(eps).rsqrt_()


class _RMSNorm(torch.autograd.Function):
    """With n = x * inv: dx = (g * w - n * mean(g * w * n)) * inv and dw = sum(g * n)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        inv = inverse_rms(x, eps)
        n = x * inv
        ctx.save_for_backward(n, inv, weight)
        return n * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        n, inv, weight = ctx.saved_tensors
        gn = g * n
        mean = (gn @ weight).unsqueeze(-1)  # times the width, divided out in the next line
        dx = torch.addcmul(g * weight, n, mean, value=-1 / n.size(-1)).mul_(inv)
        return dx, gn.flatten(0, -2).sum(0), None


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        opened = F.silu(gate)
        ctx.save_for_backward(gate_up, opened)
        return opened * up

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (g,) = grads
        gate_up, opened = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        out = torch.empty_like(gate_up)
        d_gate, d_up = out.chunk(2, dim=-1)
        torch.mul(g, opened, out=d_up)
        torch.ops.aten.silu_backward.grad_input(g * up, gate, grad_input=d_gate)
        return out


class _NormedAttention(torch.autograd.Function):
    """Queries and keys are normed and turned as one tensor; the query heads that share a key head
    meet it in one product of (G * T, D) with (D, T), where G = H / H_kv.
    """

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        q_weight: Tensor,
        k_weight: Tensor,
        cos: Tensor,
        sin: Tensor,
        bias: Tensor,
        n_kv_head: int,
        eps: float,
    ) -> Tensor:
        batch, length, _ = qkv.shape
        width = q_weight.numel()  # D
        heads = qkv.view(batch, length, -1, width).transpose(1, 2).contiguous()  # (B, heads, T, D)
        n_head = heads.size(1) - 2 * n_kv_head
        groups = n_head // n_kv_head
        x, v = torch.split(heads, [n_head + n_kv_head, n_kv_head], dim=1)
        inv = inverse_rms(x, eps)
        n = x * inv
        weight = torch.cat((q_weight.expand(n_head, 1, -1), k_weight.expand(n_kv_head, 1, -1)))
        cos, sin = cos.squeeze(1), sin.squeeze(1)  # (T, D)
        y = _turn(n * weight, cos, sin)
        q = y[:, :n_head].reshape(-1, groups * length, width)  # (B * H_kv, G * T, D)
        k = y[:, n_head:].reshape(-1, length, width)
        v = v.reshape(-1, length, width)
        scores = torch.baddbmm(bias.repeat(groups, 1), q, k.mT, alpha=width**-0.5)
        p = torch.softmax(scores, -1)  # (B * H_kv, G * T, T)
        ctx.save_for_backward(n, inv, weight, q, k, v, p, cos, sin)
        out = torch.bmm(p, v).view(batch, n_head, length, width)
        return out.transpose(1, 2).reshape(batch, length, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n, inv, weight, q, k, v, p, cos, sin = ctx.saved_tensors
        batch, all_heads, length, width = n.shape  # queries and keys
        n_kv_head = len(k) // batch
        n_head = all_heads - n_kv_head
        g = grads[0].view(batch, length, n_head, width).transpose(1, 2).reshape(q.shape)
        out = g.new_empty(batch, all_heads + n_kv_head, length, width)  # the gradient of qkv
        out[:, all_heads:] = torch.bmm(p.mT, g).view(batch, n_kv_head, length, width)
        ds = torch._softmax_backward_data(torch.bmm(g, v.mT), p, -1, p.dtype).mul_(width**-0.5)
        dq = torch.bmm(ds, k).view(batch, n_head, length, width)
        dk = torch.bmm(ds.mT, q).view(batch, n_kv_head, length, width)
        d = _turn(torch.cat((dq, dk), dim=1), cos, -sin)  # turned back
        d_weight = (d * n).sum(0).sum(1)  # (heads, D)
        d.mul_(weight)
        mean = (d * n).sum(-1, keepdim=True).mul_(-1 / width)
        torch.mul(d.addcmul_(n, mean), inv, out=out[:, :all_heads])
        d_qkv = out.transpose(1, 2).reshape(batch, length, -1)
        unused = (None, None, None, None, None)
        return d_qkv, d_weight[:n_head].sum(0), d_weight[n_head:].sum(0), *unused


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on (B, heads, T, D); see `penjing.model.positions.rotate`."""
    return (x * cos).addcmul_(x.roll(x.size(-1) // 2, -1), sin)
