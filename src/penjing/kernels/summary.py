"""What sampling asks of a row of logits most often, in one compiled look at it."""

import math

import numpy as np
from numpy.typing import NDArray

from penjing.kernels.activations import load_part
from penjing.kernels.compiling import entry, inlined
from penjing.kernels.features import Isa
from penjing.kernels.functions import FLOAT, exp
from penjing.kernels.lanes import first
from penjing.kernels.memory import load, read_float
from penjing.kernels.vector import LANES, largest, maximum, splat, total

BLOCK = 1024  # numbers that are summed in float32, before they are added up in float64
NONE = np.float32(-np.inf)


@inlined
def _vector(logits, i, count):
    """Numbers i to i + 15; -inf behind the last one."""
    if i + LANES <= count:
        return load(logits + FLOAT * i)
    return first(load_part(logits + FLOAT * i, count - i), count - i, NONE)


@entry
def _summarize(_isa, logits, count, out):
    """The largest number and its first place, and sum(exp(logits - largest)); NaN if any is."""
    best, place = NONE, 0
    for start in range(0, count, BLOCK):
        lanes = splat(NONE)
        for i in range(start, min(start + BLOCK, count), LANES):
            lanes = maximum(lanes, _vector(logits, i, count))
        top = largest(lanes)
        if top > best:
            best, place = top, start
    while place < count - 1 and read_float(logits + FLOAT * place) != best:
        place += 1
    whole = 0.0
    for start in range(0, count, BLOCK):
        lanes = splat(0.0)
        for i in range(start, min(start + BLOCK, count), LANES):
            lanes = lanes + exp(_vector(logits, i, count) - best)
        whole += total(lanes)
    out[0], out[1], out[2] = best, place, whole


def summarize(isa: Isa, logits: NDArray[np.float32]) -> tuple[float, int, float]:
    """(the largest, its first place, log(sum(exp))) of logits (V,) that lie side by side.

    NaN is the last one's value if any logit is NaN or infinite, or all are -inf.
    """
    out = np.empty(3)
    _summarize(isa, logits.ctypes.data, len(logits), out)
    top, place, whole = out.tolist()
    total_log = top + math.log(whole) if whole > 0 and math.isfinite(top) else math.nan
    return top, int(place), total_log
