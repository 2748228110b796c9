"""Steps of a block with their gradients written by hand, for training small models on a CPU.

There, eager autograd spends more on starting many small operations, and on writing what lies
between them to memory, than on the arithmetic. Each function here computes what the plain formula
beside it says, in fewer operations; tests hold values and gradients equal to the plain form's.
Statistics stay in the tensor's own type: a product of bf16 with float32 is slow on a CPU.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def by_hand(x: Tensor) -> bool:
    """Whether this is training on a CPU in eager mode; a compiler finds better forms itself."""
    eager = x.device.type == "cpu" and not torch.compiler.is_compiling()
    return eager and torch.is_grad_enabled()


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019)."""
    if not by_hand(x):
        return F.rms_norm(x, weight.shape, weight, eps)
    y: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return y


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, of the two halves of the last axis (Shazeer 2020)."""
    if not by_hand(gate_up):
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate) * up
    y: Tensor = _SwiGLU.apply(gate_up)  # type: ignore[no-untyped-call]
    return y


def gelu(x: Tensor) -> Tensor:
    """GPT-2's GELU: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) (Hendrycks 2016)."""
    if not by_hand(x):
        return F.gelu(x, approximate="tanh")
    y: Tensor = _GELU.apply(x)  # type: ignore[no-untyped-call]
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


class _GELU(torch.autograd.Function):
    """As x * sigmoid(z) with z = a x + b x^3: then y' = s + s (1 - s) (a x + 3 b x^3).

    The derivative is made at once: it is all that is kept. torch's tanh is slow in bf16.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        a = 2 * math.sqrt(2 / math.pi)
        b = 0.044715 * a
        linear, cube = x * a, x.pow(3)
        opened = torch.add(linear, cube, alpha=b).sigmoid_()
        slope = linear.add_(cube, alpha=3 * b)
        slope = torch.ops.aten.sigmoid_backward(slope, opened).add_(opened)
        ctx.save_for_backward(slope)
        return x * opened

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        dx: Tensor = grads[0] * slope
        return dx
