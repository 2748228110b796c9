"""The gradients of one step: filled from a batch, measured, clipped, forgotten."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from penjing.data.batches import Batch
from penjing.train.objectives import Objective
from penjing.train.parallel.distributed import World
from penjing.train.parallel.replica import Replica


class Gradients:
    """All gradients of a model together."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._named = [(n, p) for n, p in replica.model.named_parameters() if p.requires_grad]
        self._norms: dict[str, Tensor] = {}  # of each parameter's, before clipping

    @property
    def world(self) -> World:
        """The processes that fill them together."""
        return self._replica.world

    def fill(self, objective: Objective, batch: Batch, micro_batch_size: int = 0) -> float:
        """Set the gradients of the batch's mean loss, and return that loss.

        With a micro-batch size, gradients are summed over parts of the batch, each weighted by its
        share of the targets: the same step in less memory. The size counts windows of the full
        context; of shorter ones, as many more make a part. Several processes share the parts.
        """
        replica, total = self._replica, 0.0
        longer = replica.model.config.context_length // batch.inputs.size(1)
        parts = self.world.share(batch, micro_batch_size * max(1, longer))
        if not parts:  # no target at all: a mean of nothing
            return math.nan
        for i, (part, weight) in enumerate(parts, start=1):
            loss = replica.backward(objective, part, weight, last=i == len(parts))
            total += weight * loss
        return self.world.mean(total)

    def norm(self) -> float:
        """The norm of all gradients as one vector."""
        names, gradients = self._filled()
        if not gradients:
            return 0.0
        # In float32: bf16 would round each norm to 8 bits.
        norms = self._replica.join_norms(list(torch._foreach_norm(gradients, 2, torch.float32)))
        self._norms = dict(zip(names, norms, strict=True))
        return float(torch.linalg.vector_norm(torch.stack(list(norms))))

    def norms(self) -> dict[str, float]:
        """By parameter, as the last `norm` saw them."""
        if not self._norms:
            return {}
        values = torch.stack(list(self._norms.values())).float().tolist()
        return dict(zip(self._norms, values, strict=True))

    def restore_norms(self, norms: Mapping[str, float]) -> None:
        """As `norms` gave them."""
        self._norms = {name: torch.tensor(norm) for name, norm in norms.items()}

    def clip(self, norm: float, limit: float) -> None:
        """Scale all down together, so that their `norm` is at most `limit`; 0 is no limit."""
        if limit and norm > limit:
            torch._foreach_mul_(self._filled()[1], limit / norm)

    def clear(self) -> None:
        """Forget them, and free their memory."""
        for _, parameter in self._named:
            parameter.grad = None

    def _filled(self) -> tuple[list[str], list[Tensor]]:
        """The parameters that have a gradient: their names, and what of it this process holds."""
        filled = [(name, p.grad) for name, p in self._named if p.grad is not None]
        return [name for name, _ in filled], [self._replica.local(g) for _, g in filled]


def finite(loss: float, norm: float) -> bool:
    """Whether a step can be made with them."""
    return math.isfinite(loss) and math.isfinite(norm)
