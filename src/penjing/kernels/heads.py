"""From a row's projection to queries, keys and values: bias, norm, rotation; keys and values kept.

Addresses are of float32 unless said; D channels of a head are padded with zeros to W.
"""

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.kernels.functions import FLOAT, rms_norm
from penjing.kernels.lanes import (
    first,
    store_column_floats,
    store_column_halves,
    store_halves,
)
from penjing.kernels.memory import load, store
from penjing.kernels.vector import LANES

HALF = 2  # bytes
ZERO = np.float32(0)


@inlined
def take_head(source, bias, head_dim, out):
    """D numbers and their bias (unless its address is 0) -> W numbers, zeros behind D."""
    for i in range(0, head_dim, LANES):
        channels = load(source + FLOAT * i)
        if bias != 0:
            channels = channels + load(bias + FLOAT * i)
        store(out + FLOAT * i, first(channels, head_dim - i, ZERO))


@inlined
def rotate(head, cos, sin, half, out):
    """RoPE (Su et al. 2021): the pair (i, i + D/2) turns by its angle. `half` is D / 2.

    The first half may run over into the second, which is written after it, and that into what is
    behind D: there must be room for a vector.
    """
    for i in range(0, FLOAT * half, FLOAT * LANES):
        a, b = load(head + i), load(head + FLOAT * half + i)
        store(out + i, a * load(cos + i) - b * load(sin + i))
    for i in range(0, FLOAT * half, FLOAT * LANES):
        a, b = load(head + i), load(head + FLOAT * half + i)
        store(out + FLOAT * half + i, b * load(cos + i) + a * load(sin + i))


@part
def make_head(source, bias, norm, eps, cos, sin, head_dim, scale, scratch, out):
    """A query or a key, times `scale`; bias, norm, cos: 0 where there is none. Scratch: 2W + 32."""
    width = (head_dim + LANES - 1) // LANES * LANES
    turned = scratch + FLOAT * (width + LANES)
    take_head(source, bias, head_dim, scratch)
    if norm != 0:
        rms_norm(scratch, norm, head_dim, eps, scratch)
    if cos != 0:
        rotate(scratch, cos, sin, head_dim // 2, turned)
        scratch = turned
    for i in range(0, head_dim, LANES):
        store(out + FLOAT * i, first(load(scratch + FLOAT * i) * scale, head_dim - i, ZERO))


@part
def keep_key(head, width, position, half, keys):
    """A key (W,) into the column of its position, in keys of blocks (W, 16)."""
    size = HALF if half != 0 else FLOAT
    block = keys + size * (position // LANES * LANES * width + position % LANES)
    for i in range(0, width, LANES):
        if half != 0:
            store_column_halves(block + size * LANES * i, load(head + FLOAT * i), size * LANES)
        else:
            store_column_floats(block + size * LANES * i, load(head + FLOAT * i), size * LANES)


@part
def keep_value(head, width, position, half, values):
    """A value (W,) into the row of its position, in values (positions, W)."""
    for i in range(0, width, LANES):
        if half != 0:
            store_halves(values + HALF * (position * width + i), load(head + FLOAT * i))
        else:
            store(values + FLOAT * (position * width + i), load(head + FLOAT * i))
