"""What quantizing does to one matrix: its weights, what each scheme makes of them, and outliers.

Plain data, for a table in a terminal, a page, or a program.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.quantization.errors import Figures, of_error
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import GROUPS, SCHEMES, Scheme
from penjing.quantization.tensor import QuantizedTensor

BINS = 105  # odd: the middle one holds zero
BLOCK = 1 << 18  # weights that are counted at a time
OUTLIERS = 5  # of the largest weights, that are listed
STRETCH = 32  # neighbouring weights that are shown one by one
SPOILED = 2.0  # the range is so many times as long as without its largest weights: one bit is lost
LEFT_OUT = 0.01  # share of a group's weights, at least one, that count as its largest


@dataclass(frozen=True)
class Outlier:
    """One of the largest weights."""

    row: int
    column: int
    value: float
    deviations: float  # its magnitude, in standard deviations of the matrix


@dataclass(frozen=True)
class Weights:
    """The weights as they are."""

    name: str
    stored: str  # the scheme in which they are kept already, if any
    rows: int
    columns: int
    low: float
    high: float
    mean: float
    deviation: float
    kurtosis: float  # of a normal distribution: 0; above: heavy tails
    edges: tuple[float, ...]  # of the histogram's bins, one more than counts
    counts: tuple[int, ...]
    outliers: tuple[Outlier, ...]  # the largest first


@dataclass(frozen=True)
class Rounded:
    """What one scheme makes of them."""

    scheme: str
    described: str
    bits_per_weight: float  # with scales of 16 bits and zero points
    n_scales: int
    scales: tuple[float, float, float]  # the smallest, the middle one, the largest
    reach: tuple[float, float]  # the lowest and the highest level of the group in the middle
    zero_points: tuple[int, int] | None  # the smallest and the largest
    n_levels: int  # that the scheme has
    levels_used: int  # that some weight is rounded to
    entropy: float  # bits of information in a level: what is left of the bits that are stored
    cut_off: float  # share of the weights beyond the range
    error: Figures
    stretch: tuple[float, ...]  # the weights of `Explanation.stretch`, rounded


@dataclass(frozen=True)
class Sharing:
    """What the largest weights do to all others that share a scale with them."""

    shared: str  # "tensor", "channel", "32", ...: who shares a scale
    n_groups: int
    stretched: float  # how many times the largest weights lengthen the range: the median group
    most_stretched: float  # and the worst
    bits_lost: float  # log2 of that, on the average
    spoiled: float  # share of the groups that lose a bit or more
    int8_db: float  # signal to noise, symmetric, without clipping
    int4_db: float


@dataclass(frozen=True)
class Explanation:
    """All of it."""

    weights: Weights
    rounded: tuple[Rounded, ...]
    sharing: tuple[Sharing, ...]  # from the coarsest to the finest
    stretch_from: tuple[int, int]  # row and column of the neighbours shown one by one
    stretch: tuple[float, ...]  # about the largest weight


def explain(
    w: NDArray[np.float32], schemes: Sequence[Scheme], *, name: str, stored: str = ""
) -> Explanation:
    """What `schemes` do to the matrix w (N, K).

    `stored` is told: the scheme that it was quantized with before, if it was.

    Raises:
        CheckpointError: it holds a NaN or an infinity, or is no matrix.
        ConfigError: its rows cannot be cut into the groups of a scheme.
    """
    quantize(w, SCHEMES["int8"], name=name)  # an error, if it is no matrix of numbers
    weights = _weights(w, name, stored)
    largest = weights.outliers[0]
    start = max(0, min(largest.column - STRETCH // 2, w.shape[1] - STRETCH))
    there = (largest.row, slice(start, start + STRETCH))
    return Explanation(
        weights,
        tuple(_rounded(w, scheme, quantize(w, scheme, name=name), there) for scheme in schemes),
        tuple(_sharings(w, name)),
        (largest.row, start),
        _plain(w[there]),
    )


def _weights(w: NDArray[np.float32], name: str, stored: str) -> Weights:
    mean, deviation, kurtosis = _moments(w)
    reach = max(float(w.max()), -float(w.min()))
    counts, edges = np.histogram(w, BINS, (-reach, reach) if reach else (-1.0, 1.0))
    return Weights(
        name,
        stored,
        w.shape[0],
        w.shape[1],
        float(w.min()),
        float(w.max()),
        mean,
        deviation,
        kurtosis,
        _plain(edges),
        tuple(int(count) for count in counts),
        tuple(
            Outlier(row, column, value, abs(value) / deviation if deviation else 0.0)
            for row, column, value in _largest(w)
        ),
    )


def _moments(w: NDArray[np.float32]) -> tuple[float, float, float]:
    """Mean, standard deviation and excess kurtosis, in float64, some rows at a time."""
    mean = float(w.mean(dtype=np.float64))
    second = fourth = 0.0
    for rows in np.array_split(w, -(-w.size // BLOCK)):
        square = np.square(rows.astype(np.float64) - mean)
        second += float(square.sum()) / w.size
        fourth += float(np.square(square).sum()) / w.size
    return mean, math.sqrt(second), fourth / second**2 - 3 if second else 0.0


def _largest(w: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """Row, column and value of the largest weights: each in one of the rows with the largest."""
    reach = np.maximum(w.max(axis=1), -w.min(axis=1))
    rows = np.argsort(-reach, kind="stable")[:OUTLIERS]
    order = np.argsort(-np.abs(w[rows]), axis=None, kind="stable")[:OUTLIERS]
    places = [(int(rows[i // w.shape[1]]), int(i % w.shape[1])) for i in order]
    return [(row, column, float(w[row, column])) for row, column in places]


def _rounded(
    w: NDArray[np.float32], scheme: Scheme, tensor: QuantizedTensor, there: Any
) -> Rounded:
    values = tensor.dequantize()
    stretch = _plain(values[there])
    error = np.subtract(values, w, out=values)
    low, high = scheme.levels
    counts = np.zeros(high - low + 1, np.int64)
    for rows in np.array_split(tensor.q, -(-w.size // BLOCK)):
        counts += np.bincount(rows.reshape(-1).astype(np.int16) - low, minlength=len(counts))
    shares = counts[counts > 0] / tensor.q.size
    scales, zero = tensor.scale, tensor.zero_points()
    grouped = np.abs(error).reshape(*scales.shape, -1)
    order = np.argsort(scales, axis=None)
    first, middle, last = order[0], order[len(order) // 2], order[-1]
    shift = 0 if zero is None else int(zero.flat[middle])
    return Rounded(
        scheme.name,
        scheme.described,
        scheme.bits_per_weight(*tensor.shape),
        1 if scheme.granularity == "tensor" else scales.size,
        (float(scales.flat[first]), float(scales.flat[middle]), float(scales.flat[last])),
        (float(scales.flat[middle]) * (low - shift), float(scales.flat[middle]) * (high - shift)),
        None if zero is None else (int(zero.min()), int(zero.max())),
        high - low + 1,
        int((counts > 0).sum()),
        float(-(shares * np.log2(shares)).sum()),
        float(np.mean(grouped > 0.501 * scales[:, :, None])),
        of_error(w, error),
        stretch,
    )


def _sharings(w: NDArray[np.float32], name: str) -> list[Sharing]:
    n, k = w.shape
    sizes = {"tensor": n * k, "channel": k} | {str(g): g for g in reversed(GROUPS) if k % g == 0}
    return [_sharing(w, name, shared, size) for shared, size in sizes.items()]


def _sharing(w: NDArray[np.float32], name: str, shared: str, size: int) -> Sharing:
    suffix = {"tensor": "-tensor", "channel": ""}.get(shared, f"-g{shared}")
    groups = np.abs(w).reshape(-1, size)
    left_out = min(size - 1, math.ceil(LEFT_OUT * size))
    rest = np.partition(groups, size - 1 - left_out, axis=1)[:, size - 1 - left_out]
    whole = groups.max(axis=1)
    stretched = np.ones(len(groups))
    np.divide(whole, rest, out=stretched, where=rest > 0)
    db = [
        of_error(w, quantize(w, SCHEMES[kind + suffix], name=name).dequantize() - w).sqnr_db
        for kind in ("int8", "int4")
    ]
    return Sharing(
        shared,
        len(groups),
        float(np.median(stretched)),
        float(stretched.max()),
        float(np.mean(np.log2(stretched))),
        float(np.mean(stretched >= SPOILED)),
        *db,
    )


def _plain(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
