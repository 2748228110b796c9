"""What a linear layer sees of a calibration text: the second moments of its inputs.

The squared error of a layer's outputs on that text is a function of these alone, so no activation
needs to be kept: sum over x of |dW x|^2 = n tr(dW H dW^T) with H = mean of x x^T.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """Of all the vectors x (K,) that went into one layer."""

    hessian: Tensor  # (K, K) mean of x x^T, float32; half of the Hessian of the squared error
    magnitude: Tensor  # (K,) mean of |x|, float32: which channels are loud
    count: int  # how many vectors

    def scaled(self, scale: Tensor) -> "Inputs":
        """Of x / scale: what the layer sees once `scale` (K,) is folded into what comes before."""
        pairs = scale[:, None] * scale[None, :]
        return Inputs(self.hessian / pairs, self.magnitude / scale, self.count)


class Gatherer:
    """Adds up inputs as they come by, batch after batch."""

    def __init__(self, width: int) -> None:
        self._moments = torch.zeros(width, width)
        self._magnitudes = torch.zeros(width)
        self._count = 0

    def add(self, x: Tensor) -> None:
        """x (..., K)."""
        rows = x.detach().reshape(-1, x.size(-1)).float()
        self._moments.addmm_(rows.T, rows)
        self._magnitudes += rows.abs().sum(0)
        self._count += len(rows)

    def finish(self) -> Inputs:
        count = max(self._count, 1)
        return Inputs(self._moments / count, self._magnitudes / count, self._count)


def output_error(delta: Tensor, hessian: Tensor) -> float:
    """Mean over the calibration vectors of |delta x|^2: delta (N, K), hessian (K, K)."""
    return float(((delta @ hessian) * delta).sum(dtype=torch.float64))


def relative_error(rounded: Tensor, weight: Tensor, hessian: Tensor) -> float:
    """The error of a layer's outputs as a share of the outputs themselves, both squared."""
    whole = output_error(weight, hessian)
    return output_error(rounded - weight, hessian) / whole if whole else 0.0
