"""Optimizers that keep float32 masters beside the weights that the model computes with.

bf16 has 8 bits of mantissa: a step of less than 1/256 of a weight would be lost in it. So each step
is made on a float32 copy, and the result is rounded into the model.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from penjing.model.base import LanguageModel
from penjing.train.config import OptimizerConfig

CACHED = 1 << 19  # numbers worked on together on a CPU: 1 MiB in bf16, which its caches hold


class Optimizer(Protocol):
    """What the loop needs of an optimizer."""

    def step(self, rate: float) -> None:
        """One update from the parameters' gradients; `rate` is a factor of the peak rate."""

    def state(self) -> dict[str, Tensor]:
        """What it remembers, as "KIND.PARAMETER": the tensors themselves, not copies.

        "master" is the float32 weight, "momentum", "mean" and "square" are averages of gradients,
        each in the parameter's shape; "steps" counts updates.
        """

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`; the parameters are set to its masters.

        Raises:
            KeyError, RuntimeError: it belongs to other parameters.
        """


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), on float32 masters.

    Vectors (norms, biases) are not decayed. The arithmetic is torch's fused kernel, called
    directly: the classes of torch.optim take a second to import.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], config: OptimizerConfig) -> None:
        self._config = config
        matrices = {name: p for name, p in parameters.items() if p.ndim >= 2}
        vectors = {name: p for name, p in parameters.items() if p.ndim < 2}
        self._groups = [(_Moments(matrices), config.weight_decay), (_Moments(vectors), 0.0)]

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

    def state(self) -> dict[str, Tensor]:
        return {key: tensor for group, _ in self._groups for key, tensor in group.named().items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for group, _ in self._groups:
            for key, tensor in group.named().items():
                tensor.copy_(state[key])
            torch._foreach_copy_(group.weights, group.masters)


class _Moments:
    """Parameters, their masters, and the running means of gradients and of their squares."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._names = list(parameters)
        self.parameters = list(parameters.values())
        self.weights = [p.detach() for p in self.parameters]
        self.masters = [w.float() for w in self.weights]  # the same tensor if it is float32
        self.means = [torch.zeros_like(m) for m in self.masters]
        self.squares = [torch.zeros_like(m) for m in self.masters]
        self.steps = [torch.zeros((), device=m.device) for m in self.masters]

    def named(self) -> dict[str, Tensor]:
        kinds = {
            "master": self.masters,
            "mean": self.means,
            "square": self.squares,
            "steps": self.steps,
        }
        return {
            f"{kind}.{name}": tensor
            for kind, tensors in kinds.items()
            for name, tensor in zip(self._names, tensors, strict=True)
        }


class Muon:
    """Momentum whose update is made orthogonal (Jordan et al. 2024), for matrices.

    Tall matrices are cut into squares where their width divides their height: the joint q, k, v and
    the joint gate and up are several matrices to the optimizer, and as most pieces then have one
    shape, a step is a few large products on one stack.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], config: OptimizerConfig) -> None:
        self._config = config
        groups: dict[tuple[int, ...], dict[str, nn.Parameter]] = defaultdict(dict)
        for name, parameter in parameters.items():
            groups[tuple(squares(parameter.detach()).shape[1:])][name] = parameter
        self._stacks = [_Stack(group) for group in groups.values()]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        config = self._config
        lr = config.muon_lr * rate
        for stack in self._stacks:
            gradient = stack.gradient()
            stack.momentum.lerp_(gradient, 1 - config.momentum)
            nesterov = gradient.lerp_(stack.momentum, config.momentum)
            update = orthogonalize(nesterov, dtype=stack.dtype)
            if config.weight_decay:
                stack.masters.mul_(1 - lr * config.weight_decay)
            rows, columns = update.shape[-2:]
            # A tall piece takes a larger step, so that each of its outputs moves by as much.
            stack.masters.sub_(update.float(), alpha=lr * max(1.0, rows / columns) ** 0.5)
            stack.publish()

    def state(self) -> dict[str, Tensor]:
        return {key: tensor for stack in self._stacks for key, tensor in stack.named().items()}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for stack in self._stacks:
            for key, tensor in stack.named().items():
                tensor.copy_(state[key])
            stack.publish()


class _Stack:
    """Parameters whose pieces have one shape; their masters and momentum as (pieces, r, c)."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self._names = list(parameters)
        self._parameters = list(parameters.values())
        self._pieces = [squares(p.detach()) for p in self._parameters]  # views
        self.dtype = self._pieces[0].dtype  # of the model, and so of the large products
        self.masters = torch.cat(self._pieces).float()
        self.momentum = torch.zeros_like(self.masters)

    def gradient(self) -> Tensor:
        grads = [squares(p.grad) for p in self._parameters if p.grad is not None]
        return torch.cat(grads).float()

    def publish(self) -> None:
        """Round the masters into the model."""
        torch._foreach_copy_(self._pieces, self._split(self.masters))

    def named(self) -> dict[str, Tensor]:
        """Masters and momentum by parameter, in its shape: views."""
        return {
            f"{kind}.{name}": piece.view(parameter.shape)
            for kind, stack in (("master", self.masters), ("momentum", self.momentum))
            for name, parameter, piece in zip(
                self._names, self._parameters, self._split(stack), strict=True
            )
        }

    def _split(self, stack: Tensor) -> list[Tensor]:
        return list(torch.split(stack, [len(piece) for piece in self._pieces]))


def squares(matrix: Tensor) -> Tensor:
    """(rows, columns) -> (pieces, r, columns) with r = columns if that divides the rows."""
    rows, columns = matrix.shape
    r = columns if rows % columns == 0 else rows
    return matrix.view(-1, r, columns)


def orthogonalize(matrices: Tensor, steps: int = 5, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """The nearest semi-orthogonal matrices to (n, rows, columns), roughly, in `dtype`.

    Newton-Schulz with the quintic of Jordan et al. 2024, a x + (b x x^T + c (x x^T)^2) x: in five
    steps it brings singular values to within about 0.7 .. 1.2 without computing them, save those
    far below the norm (1/700 and less), which stay smaller.
    """
    if not matrices.is_cpu:
        return _newton_schulz(matrices, steps, dtype)
    at_once = max(1, CACHED // matrices[0].numel())
    parts = [_newton_schulz(part, steps, dtype) for part in torch.split(matrices, at_once)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _newton_schulz(matrices: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrices.to(dtype)
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

    def state(self) -> dict[str, Tensor]:
        return {key: tensor for each in self._optimizers for key, tensor in each.state().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for optimizer in self._optimizers:
            optimizer.restore(state)


class Maker(Protocol):
    """An optimizer's class."""

    def __call__(
        self, parameters: Mapping[str, nn.Parameter], config: OptimizerConfig, /
    ) -> Optimizer: ...


def build_optimizer(
    model: LanguageModel,
    config: OptimizerConfig,
    *,
    muon: Maker | None = None,
    adamw: Maker | None = None,
) -> Optimizer:
    """Muon on the matrices inside the blocks and AdamW on the rest, or AdamW on all.

    Parameters that do not require a gradient are left alone. `muon` and `adamw` are other classes
    for the two.
    """
    muon, adamw = muon or Muon, adamw or AdamW
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if config.name == "adamw":
        return adamw(named, config)
    inside = {name for name, p in named.items() if p.ndim == 2 and name.startswith("layers.")}
    return Combined(
        muon({name: p for name, p in named.items() if name in inside}, config),
        adamw({name: p for name, p in named.items() if name not in inside}, config),
    )
