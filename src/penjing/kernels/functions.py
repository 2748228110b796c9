"""Functions of 16 lanes, and norms of rows: float32 throughout, every sum in one fixed order.

Error bounds are relative, in units of 2**-24 (half a unit in the last place of float32), and held
by tests against float64.
"""

import math

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.kernels.lanes import first
from penjing.kernels.memory import load, store
from penjing.kernels.vector import (
    LANES,
    as_floats,
    as_ints,
    fma,
    maximum,
    minimum,
    splat,
    square_root,
    total,
)

FLOAT = 4  # bytes
LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has few bits, so that a small integer times it is exact.
LN2_HIGH, LN2_LOW = 0.693359375, -2.1219444005469057e-4
# Adding it pushes all bits behind the point out of a float32: rounding to the nearest integer.
ROUNDER = 12582912.0  # 1.5 * 2**23
ROUNDER_BITS = 0x4B400000
EXP_LOWEST, EXP_HIGHEST = -104.0, 88.0
# exp(r) = 1 + r + r^2 p(r) for |r| <= ln(2) / 2: the minimax polynomial, off by 0.06 units.
P0, P1, P2, P3, P4 = 0.49999994, 0.16666521, 0.041668389, 0.0083687454, 0.001381454

GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715


@inlined
def exp(x):
    """e**x within 3 units, for x up to 88 (above, as at 88); 0 far below; NaN stays NaN."""
    x = maximum(EXP_LOWEST, minimum(EXP_HIGHEST, x))
    shifted = fma(x, LOG2_E, ROUNDER)
    power = as_ints(shifted) - ROUNDER_BITS
    nearest = shifted - ROUNDER
    r = fma(nearest, -LN2_LOW, fma(nearest, -LN2_HIGH, x))
    p = fma(fma(fma(fma(P4, r, P3), r, P2), r, P1), r, P0)
    e = fma(p, r * r, r) + 1.0
    half = power >> 1  # two steps, so that what is too small for a normal float32 fades to 0
    return e * as_floats((half + 127) << 23) * as_floats((power - half + 127) << 23)


@inlined
def silu(x):
    """x / (1 + exp(-x)) within 8 units."""
    return x / (exp(0.0 - x) + 1.0)


@inlined
def gelu(x):
    """GPT-2's GELU: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) (Hendrycks 2016).

    As x * sigmoid(2 z). Within 8 units times 1 + |2 z|: rounding of z grows in the exponent.
    """
    z2 = fma(x * x, GELU_LINEAR * GELU_CUBIC, GELU_LINEAR) * x
    return x / (exp(0.0 - z2) + 1.0)


@inlined
def mean_square(row, width):
    """Of `width` floats; what is behind them, up to a whole vector, must be 0."""
    even, odd = splat(0.0), splat(0.0)
    for i in range(0, width, 2 * LANES):
        a = load(row + FLOAT * i)
        even = fma(a, a, even)
        if i + LANES < width:
            b = load(row + FLOAT * (i + LANES))
            odd = fma(b, b, odd)
    return total(even + odd) / width


@inlined
def mean(row, width):
    """Of `width` floats, with zeros behind."""
    lanes = splat(0.0)
    for i in range(0, width, LANES):
        lanes = lanes + load(row + FLOAT * i)
    return total(lanes) / width


@inlined
def inverse_root(square, eps):
    """1 / sqrt(square + eps), in all lanes."""
    return splat(1.0) / square_root(splat(square) + eps)


@part
def rms_norm(row, weight, width, eps, out):
    """x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019); `out` may be the row itself."""
    scale = inverse_root(mean_square(row, width), eps)
    for i in range(0, FLOAT * width, FLOAT * LANES):
        store(out + i, load(row + i) * scale * load(weight + i))


@part
def layer_norm(row, weight, bias, width, eps, out):
    """(x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016)."""
    middle = mean(row, width)
    for i in range(0, width, LANES):
        store(out + FLOAT * i, first(load(row + FLOAT * i) - middle, width - i, np.float32(0)))
    scale = inverse_root(mean_square(out, width), eps)
    for i in range(0, FLOAT * width, FLOAT * LANES):
        store(out + i, fma(load(out + i) * scale, load(weight + i), load(bias + i)))


@part
def norm(row, weight, bias, width, eps, out):
    """The network's norm of one row: LayerNorm where there is a bias (not address 0), else RMSNorm.

    Addresses of float32, each `width` of them and zeros up to a whole vector, as `out` has then.
    """
    if bias != 0:
        layer_norm(row, weight, bias, width, eps, out)
    else:
        rms_norm(row, weight, width, eps, out)
