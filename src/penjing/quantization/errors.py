"""How far quantized weights are from the ones that they stand for."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Figures:
    """The error of one matrix, in the unit of its weights."""

    max: float
    rms: float
    sqnr_db: float  # signal to quantization noise, 10 log10(sum w^2 / sum e^2); inf: no error


def of_error(w: NDArray[np.float32], error: NDArray[np.float32]) -> Figures:
    """What rounding did to w (N, K), which became w + error. Sums are in float64."""
    noise, signal = (float(np.einsum("nk,nk->", x, x, dtype=np.float64)) for x in (error, w))
    ratio = math.inf if noise == 0 else 10 * math.log10(max(signal, 1e-300) / noise)
    largest = float(np.abs(error).max()) if error.size else 0.0
    return Figures(largest, math.sqrt(noise / max(1, error.size)), ratio)
