"""What sampling asks of a row of logits most often, taken while they are in the cache.

A row is summed up in parts, each by the thread that has computed its logits, and then as a whole.
A part is PART logits wherever it lies, so that the bits don't depend on the number of threads.
"""

import math

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.kernels.activations import load_part
from penjing.kernels.functions import FLOAT, exp
from penjing.kernels.lanes import first
from penjing.kernels.memory import load, read_float, write_float
from penjing.kernels.vector import LANES, largest, maximum, splat, total

PART = 128  # a multiple of the columns that threads share out
NONE = np.float32(-np.inf)


def parts_bytes(count: int) -> int:
    """Bytes of the parts of `count` logits: the largest of each, then the sum of each."""
    return 2 * FLOAT * -(-count // (PART * LANES)) * LANES


@inlined
def _sums(parts, n_parts):
    """Where the sums of parts lie."""
    return parts + FLOAT * ((n_parts + LANES - 1) // LANES * LANES)


@inlined
def _vector(numbers, i, count):
    """Numbers i to i + 15; -inf behind the last one."""
    if i + LANES <= count:
        return load(numbers + FLOAT * i)
    return first(load_part(numbers + FLOAT * i, count - i), count - i, NONE)


@inlined
def _largest(numbers, begin, end):
    lanes = splat(NONE)
    for i in range(begin, end, LANES):
        lanes = maximum(lanes, _vector(numbers, i, end))
    return largest(lanes)


@part
def summarize_parts(logits, count, begin, end, parts):
    """The parts of a row of `count` logits that lie in [begin, end); a part begins at `begin`.

    Of each its largest number and sum(exp(logits - largest)), which is NaN if any is NaN or +inf.
    """
    sums = _sums(parts, (count + PART - 1) // PART)
    for start in range(begin, end, PART):
        stop = min(start + PART, end)
        top = _largest(logits, start, stop)
        base, lanes = top if top > NONE else np.float32(0), splat(0.0)
        for i in range(start, stop, LANES):
            lanes = lanes + exp(_vector(logits, i, stop) - base)
        write_float(parts + FLOAT * (start // PART), top)
        write_float(sums + FLOAT * (start // PART), total(lanes))


@part
def combine_parts(logits, count, parts, out):
    """All parts of a row -> the largest logit, its first place, log(sum(exp(logits))).

    The last is NaN if any logit is NaN or +inf, or all are -inf.
    """
    n_parts = (count + PART - 1) // PART
    sums, top, whole = _sums(parts, n_parts), _largest(parts, 0, n_parts), 0.0
    for i in range(0, n_parts, LANES):
        weights = exp(_vector(parts, i, n_parts) - top)
        whole += total(weights * load(sums + FLOAT * i))
    place = 0
    while place < n_parts - 1 and read_float(parts + FLOAT * place) != top:
        place += 1
    place *= PART
    while place < count - 1 and read_float(logits + FLOAT * place) != top:
        place += 1
    out[0], out[1], out[2] = top, place, top + math.log(whole)
