"""What each matrix does to the model when it alone is quantized: measured, not guessed.

The measure is the divergence KL(original || changed) of the next token's distribution on some
calibration windows. What lies before the changed layer is as it was, so each measurement starts
from the layer's stored inputs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from penjing.evaluate.loss import CHUNK
from penjing.model.base import LanguageModel
from penjing.transform.calibration import Walk
from penjing.transform.matrices import Matrix, weight_of
from penjing.transform.rounder import Rounder


class Sensitivity:
    """The original's hidden states before each layer (L + 1, S, T, C), to start again from.

    Args:
        windows: (S, T) ids; a few thousand tokens are enough.
    """

    def __init__(self, model: LanguageModel, windows: Tensor) -> None:
        self.model = model
        self._walk = Walk(model, windows)
        self._before = [self._walk.hidden.clone()]
        for _ in range(model.config.n_layer):
            self._walk.step()
            self._before.append(self._walk.hidden.clone())
        self._norm = model.get_submodule("norm")
        head = weight_of(model, "unembedding")
        self._original = self._normed(self._before[-1]), head.detach().clone()

    def measure(self, matrix: Matrix, rounder: Rounder) -> float:
        """The divergence, in nats per token, with this matrix alone rounded to nearest."""
        weight = weight_of(self.model, matrix.name)
        rounded = torch.cat([rounder.nearest(part) for part in matrix.split(weight.detach())])
        with replaced(weight, rounded):
            if matrix.layer is None:
                return self._divergence(self._before[-1])
            self._walk.restart(matrix.layer, self._before[matrix.layer].clone())
            for _ in range(matrix.layer, self.model.config.n_layer):
                self._walk.step()
            return self._divergence(self._walk.hidden)

    def _normed(self, hidden: Tensor) -> Tensor:
        with torch.no_grad():
            normed: Tensor = self._norm(hidden.flatten(0, 1))
        return normed

    def _divergence(self, hidden: Tensor) -> float:
        """KL(original || changed), the mean over all positions, from (S, T, C)."""
        states, head = self._original
        changed = self._normed(hidden)
        rows = max(1, CHUNK // self.model.config.vocab_size)
        total = 0.0
        with torch.no_grad():
            for a, b in zip(torch.split(states, rows), torch.split(changed, rows), strict=True):
                p = F.linear(a, head).log_softmax(-1)
                q = self.model.head(b[None])[0].log_softmax(-1)
                total += float((p.exp() * (p - q)).sum(dtype=torch.float64))
        return total / len(states)


@contextmanager
def replaced(parameter: nn.Parameter, value: Tensor) -> Iterator[None]:
    """While the block runs the parameter has other values."""
    before = parameter.data
    parameter.data = value
    try:
        yield
    finally:
        parameter.data = before


def measure_all(
    model: LanguageModel,
    windows: Tensor,
    options: Sequence[tuple[Matrix, Sequence[Rounder]]],
    tick: Callable[[float], None],
) -> list[list[float]]:
    """The divergence of each matrix with each of its schemes; `tick` is told the share done."""
    sensitivity = Sensitivity(model, windows)
    out = []
    for n, (matrix, rounders) in enumerate(options):
        out.append([sensitivity.measure(matrix, rounder) for rounder in rounders])
        tick((n + 1) / len(options))
    return out
