"""Attention of some queries of one text on its keys and values, sixteen positions at a time.

softmax(q K^T / sqrt(D)) V (Vaswani et al. 2017) over chunks of CHUNK positions: each chunk gives a
partial result (weighted values, the largest score, the sum of weights), and `combine` puts them
together (as in Dao et al. 2022, and Flash-Decoding). Chunks begin at fixed positions, and each sum
has one order. So the bits of a query's result do not depend on which queries share the loaded keys
with it, nor on which thread does which chunk.

Addresses are of float32 unless said; W is D rounded up to whole vectors, with zeros behind D.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from penjing.compiling.functions import c_function, inlined, part
from penjing.kernels.features import Isa
from penjing.kernels.functions import FLOAT, exp
from penjing.kernels.lanes import first, lane_numbers, store_rows
from penjing.kernels.memory import (
    load,
    load_block_floats,
    load_block_halves,
    load_row_floats,
    prefetch,
    read_float,
    store,
    write_float,
)
from penjing.kernels.vector import (
    LANES,
    Shape,
    fma,
    lane,
    largest,
    maximum,
    splat,
    to_floats,
    total,
    zeros,
)

CHUNK = 128  # positions
LINE = 64  # bytes of a cache line
TOGETHER = 4  # queries that share the loaded keys and values
NONE = np.float32(-np.inf)

ONE, TWO, THREE, FOUR = Shape(1, 1), Shape(2, 1), Shape(3, 1), Shape(4, 1)
ONE_WIDE, TWO_WIDE, THREE_WIDE, FOUR_WIDE = Shape(1, 4), Shape(2, 4), Shape(3, 4), Shape(4, 4)


def partial_floats(width: int) -> int:
    """Floats of one chunk's result: W weighted values, the largest score, the sum, and padding."""
    return width + LANES


@inlined
def softmax(scores, count, slope, distance):
    """Scores to weights, in place -> (the largest score, the sum of weights).

    The first `count` scores count. ALiBi takes slope * distance off the first, then less each.
    """
    best = splat(NONE)
    for i in range(0, count, LANES):
        score = load(scores + FLOAT * i)
        score = fma(to_floats(lane_numbers() + np.int32(i - distance)), slope, score)
        score = first(score, count - i, NONE)
        store(scores + FLOAT * i, score)
        best = maximum(best, score)
    top = largest(best)
    weights = splat(0.0)
    for i in range(0, count, LANES):
        weight = exp(load(scores + FLOAT * i) - top)
        store(scores + FLOAT * i, weight)
        weights = weights + weight
    return top, total(weights)


def _attention(load_blocks: Any, size: int) -> Callable[..., None]:
    """Attention on keys and values of `size` bytes a number."""

    @inlined
    def scores(shape, queries, keys, ahead, width, n_blocks, out):
        """Queries (rows of the shape, W) on blocks of keys (W, 16) -> (rows, CHUNK).

        The values, `ahead` bytes from the keys, are fetched from memory meanwhile.
        """
        stride = FLOAT * width
        for block in range(n_blocks):
            s0, s1, s2, s3 = zeros(shape), zeros(shape), zeros(shape), zeros(shape)
            for i in range(0, width, 4):
                q, k = queries + FLOAT * i, keys + size * LANES * i
                for line in range(0, 4 * size * LANES, LINE):
                    prefetch(k + ahead + line)
                s0 = fma(load_row_floats(shape, q, stride), load_blocks(shape, k, 0), s0)
                q, k = q + FLOAT, k + size * LANES
                s1 = fma(load_row_floats(shape, q, stride), load_blocks(shape, k, 0), s1)
                q, k = q + FLOAT, k + size * LANES
                s2 = fma(load_row_floats(shape, q, stride), load_blocks(shape, k, 0), s2)
                q, k = q + FLOAT, k + size * LANES
                s3 = fma(load_row_floats(shape, q, stride), load_blocks(shape, k, 0), s3)
            sums = (s0 + s1) + (s2 + s3)
            store_rows(out + FLOAT * LANES * block, sums, FLOAT * CHUNK)
            keys += size * LANES * width

    @inlined
    def mix_some(shape, weights, values, width, count, out, stride):
        """As `mix`, for as many channels as the shape has blocks of 16."""
        mixed = zeros(shape)
        for i in range(count):
            weight = load_row_floats(shape, weights + FLOAT * i, FLOAT * CHUNK)
            value = load_blocks(shape, values + size * width * i, size * LANES)
            mixed = fma(weight, value, mixed)
        store_rows(out, mixed, stride)

    @inlined
    def mix(shape, wide, weights, values, width, count, out, stride):
        """Weights (rows, CHUNK) times values (count, W) -> (rows, W), rows `stride` bytes apart."""
        i = 0
        while i + 4 * LANES <= width:
            mix_some(wide, weights, values + size * i, width, count, out + FLOAT * i, stride)
            i += 4 * LANES
        while i < width:
            mix_some(shape, weights, values + size * i, width, count, out + FLOAT * i, stride)
            i += LANES

    @inlined
    def mix_on(weights, values, width, begin, end, out):
        """One query's `mix` goes on, with the positions from `begin` to `end`."""
        for i in range(0, width, LANES):
            mixed = load(out + FLOAT * i)
            for t in range(begin, end):
                value = load_blocks(ONE, values + size * (width * t + i), 0)
                mixed = fma(splat(read_float(weights + FLOAT * t)), value, mixed)
            store(out + FLOAT * i, mixed)

    @inlined
    def some_scores(n, queries, keys, ahead, width, n_blocks, out):
        if n == 4:
            scores(FOUR, queries, keys, ahead, width, n_blocks, out)
        elif n == 3:
            scores(THREE, queries, keys, ahead, width, n_blocks, out)
        elif n == 2:
            scores(TWO, queries, keys, ahead, width, n_blocks, out)
        else:
            scores(ONE, queries, keys, ahead, width, n_blocks, out)

    @inlined
    def some_mix(n, weights, values, width, count, out, stride):
        if n == 4:
            mix(FOUR, FOUR_WIDE, weights, values, width, count, out, stride)
        elif n == 3:
            mix(THREE, THREE_WIDE, weights, values, width, count, out, stride)
        elif n == 2:
            mix(TWO, TWO_WIDE, weights, values, width, count, out, stride)
        else:
            mix(ONE, ONE_WIDE, weights, values, width, count, out, stride)

    @inlined
    def attend(
        queries,
        n_queries,
        group,
        position,
        chunk,
        keys,
        values,
        width,
        slopes,
        scratch,
        out,
        stride,
    ):
        """One chunk's results for `n_queries` queries (n, W) that share a key/value head.

        Query i is of position `position` + i // group and sees all up to it; ALiBi's slope for it
        is number i % group, unless the address is 0. keys, values: of the head, from position 0.
        scratch: TOGETHER * CHUNK floats. Results go to out + i * stride, for those who see any.
        """
        start = chunk * CHUNK
        keys, values = keys + size * width * start, values + size * width * start
        begin = max(0, start - position) * group
        for q in range(begin, n_queries, TOGETHER):
            n = min(TOGETHER, n_queries - q)
            fewest = min(CHUNK, position + q // group - start + 1)
            most = min(CHUNK, position + (q + n - 1) // group - start + 1)
            n_blocks = (most + LANES - 1) // LANES
            some_scores(
                n, queries + FLOAT * width * q, keys, values - keys, width, n_blocks, scratch
            )
            for i in range(n):
                seen = position + (q + i) // group
                slope = np.float32(0)
                if slopes != 0:
                    slope = read_float(slopes + FLOAT * ((q + i) % group))
                count = min(CHUNK, seen - start + 1)
                top, weight = softmax(scratch + FLOAT * CHUNK * i, count, slope, seen - start)
                write_float(out + stride * (q + i) + FLOAT * width, top)
                write_float(out + stride * (q + i) + FLOAT * (width + 1), weight)
            some_mix(n, scratch, values, width, fewest, out + stride * q, stride)
            for i in range(n):
                count = min(CHUNK, position + (q + i) // group - start + 1)
                weights = scratch + FLOAT * CHUNK * i
                if count > fewest:
                    mix_on(weights, values, width, fewest, count, out + stride * (q + i))

    compiled: Callable[..., None] = attend
    return compiled


_attend_halves = _attention(load_block_halves, 2)
_attend_floats = _attention(load_block_floats, 4)


def _with_halves(_isa, q, n, group, position, chunk, k, v, width, slopes, scratch, out, stride):
    _attend_halves(q, n, group, position, chunk, k, v, width, slopes, scratch, out, stride)


def _with_floats(_isa, q, n, group, position, chunk, k, v, width, slopes, scratch, out, stride):
    _attend_floats(q, n, group, position, chunk, k, v, width, slopes, scratch, out, stride)


@cache
def attention_address(isa: Isa, half: bool) -> int:
    """The address, for `call`, of the compiled attention on keys and values in float16 (`half`) or
    float32. Its arguments are those of `attend`."""
    return c_function(_with_halves if half else _with_floats, isa, integers=12)


@part
def combine(partials, n_chunks, head_dim, width, scratch, out):
    """The results of chunks that lie side by side -> attention's output, D floats.

    scratch: W floats.
    """
    stride = FLOAT * (width + LANES)
    best = splat(NONE)
    for chunk in range(n_chunks):
        best = maximum(best, splat(read_float(partials + stride * chunk + FLOAT * width)))
    for i in range(0, FLOAT * width, FLOAT * LANES):
        store(scratch + i, splat(0.0))
    whole = splat(0.0)
    for chunk in range(n_chunks):
        result = partials + stride * chunk
        factor = exp(splat(read_float(result + FLOAT * width)) - best)
        whole = fma(factor, splat(read_float(result + FLOAT * (width + 1))), whole)
        for i in range(0, FLOAT * width, FLOAT * LANES):
            store(scratch + i, fma(factor, load(result + i), load(scratch + i)))
    for i in range(0, head_dim, LANES):
        mixed = load(scratch + FLOAT * i) / whole
        if head_dim - i >= LANES:
            store(out + FLOAT * i, mixed)
        else:  # another head's output may lie behind it
            for j in range(head_dim - i):
                write_float(out + FLOAT * (i + j), lane(mixed, j))
