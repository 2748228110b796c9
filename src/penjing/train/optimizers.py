"""Optimizers that keep float32 masters beside the weights that the model computes with.

bf16 has 8 bits of mantissa: a step of less than 1/256 of a weight would be lost in it. So each step
is made on a float32 copy, and the result is rounded into the model.
"""

from collections import defaultdict
from typing import Protocol

import torch
from torch import Tensor, nn

from penjing.model.base import LanguageModel
from penjing.train.config import OptimizerConfig


class Optimizer(Protocol):
    """What the loop needs of an optimizer."""

    def step(self, rate: float) -> None:
        """One update from the parameters' gradients; `rate` is a factor of the peak rate."""


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), on float32 masters.

    Vectors (norms, biases) are not decayed. The arithmetic is torch's fused kernel, called
    directly: the classes of torch.optim take a second to import.
    """

    def __init__(self, parameters: list[nn.Parameter], config: OptimizerConfig) -> None:
        self._config = config
        decay = config.weight_decay
        self._groups = [
            (_Moments([p for p in parameters if p.ndim >= 2]), decay),
            (_Moments([p for p in parameters if p.ndim < 2]), 0.0),
        ]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        config = self._config
        for group, weight_decay in self._groups:
            torch._foreach_add_(group.steps, 1)
            torch._fused_adamw_(
                group.masters,
                [p.grad.float() for p in group.parameters if p.grad is not None],
                group.means,
                group.squares,
                [],
                group.steps,
                lr=config.lr * rate,
                beta1=config.beta1,
                beta2=config.beta2,
                weight_decay=weight_decay,
                eps=1e-10,
                amsgrad=False,
                maximize=False,
            )
            torch._foreach_copy_(group.weights, group.masters)


class _Moments:
    """Parameters, their masters, and the running means of gradients and of their squares."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.weights = [p.detach() for p in parameters]
        self.masters = [w.float() for w in self.weights]  # the same tensor if it is float32
        self.means = [torch.zeros_like(m) for m in self.masters]
        self.squares = [torch.zeros_like(m) for m in self.masters]
        self.steps = [torch.zeros((), device=m.device) for m in self.masters]


class Muon:
    """Momentum whose update is made orthogonal (Jordan et al. 2024), for matrices.

    Tall matrices are cut into squares where their width divides their height: the joint q, k, v and
    the joint gate and up are several matrices to the optimizer, and as most pieces then have one
    shape, a step is a few large products on one stack.
    """

    def __init__(self, parameters: list[nn.Parameter], config: OptimizerConfig) -> None:
        self._config = config
        groups: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            groups[tuple(_squares(parameter.detach()).shape[1:])].append(parameter)
        self._stacks = [_Stack(group) for group in groups.values()]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        config = self._config
        lr = config.muon_lr * rate
        for stack in self._stacks:
            gradient = stack.gradient()
            stack.momentum.lerp_(gradient, 1 - config.momentum)
            update = orthogonalize(gradient.lerp_(stack.momentum, config.momentum))  # Nesterov
            if config.weight_decay:
                stack.masters.mul_(1 - lr * config.weight_decay)
            rows, columns = update.shape[-2:]
            # A tall piece takes a larger step, so that each of its outputs moves by as much.
            stack.masters.sub_(update.float(), alpha=lr * max(1.0, rows / columns) ** 0.5)
            stack.publish()


class _Stack:
    """Parameters whose pieces have one shape; their masters and momentum as (pieces, r, c)."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self._pieces = [_squares(p.detach()) for p in parameters]  # views
        self.masters = torch.cat(self._pieces).float()
        self.momentum = torch.zeros_like(self.masters)

    def gradient(self) -> Tensor:
        grads = [_squares(p.grad) for p in self._parameters if p.grad is not None]
        return torch.cat(grads).float()

    def publish(self) -> None:
        """Round the masters into the model."""
        sizes = [len(piece) for piece in self._pieces]
        torch._foreach_copy_(self._pieces, list(torch.split(self.masters, sizes)))


def _squares(matrix: Tensor) -> Tensor:
    """(rows, columns) -> (pieces, r, columns) with r = columns if that divides the rows."""
    rows, columns = matrix.shape
    r = columns if rows % columns == 0 else rows
    return matrix.view(-1, r, columns)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to (n, rows, columns), roughly, in bf16.

    Newton-Schulz with the quintic of Jordan et al. 2024, a x + (b x x^T + c (x x^T)^2) x: in five
    steps it brings singular values to within about 0.7 .. 1.2 without computing them, save those
    far below the norm (1/700 and less), which stay smaller.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrices.bfloat16()
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Combined:
    """Several optimizers as one, each with its own parameters."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self._optimizers = optimizers

    def step(self, rate: float) -> None:
        for optimizer in self._optimizers:
            optimizer.step(rate)


def build_optimizer(model: LanguageModel, config: OptimizerConfig) -> Optimizer:
    """Muon on the matrices inside the blocks and AdamW on the rest, or AdamW on all.

    Parameters that do not require a gradient are left alone.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if config.name == "adamw":
        return AdamW([p for _, p in named], config)
    inside = {name for name, p in named if p.ndim == 2 and name.startswith("layers.")}
    return Combined(
        Muon([p for name, p in named if name in inside], config),
        AdamW([p for name, p in named if name not in inside], config),
    )
