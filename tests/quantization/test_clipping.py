"""Ranges with the least squared error: never worse than whole ones, and the best of those tried."""

import numpy as np
import pytest
from numpy.typing import NDArray

from penjing.quantization.clipping import RATIOS
from penjing.quantization.rounding import build, fit, grid_between, nearest, quantize
from penjing.quantization.scheme import SCHEMES, Scheme, parse_scheme

KINDS = ["int4-g32", "int4-asym-g64", "int4", "int4-tensor", "uint8", "int8-g32"]


def heavy(rows: int = 8, columns: int = 128) -> NDArray[np.float32]:
    """Weights with a few large ones, as trained ones are."""
    generator = np.random.default_rng(1)
    return (generator.standard_t(4, (rows, columns)) * 0.05).astype(np.float32)


def squared(
    w: NDArray[np.float32], scheme: Scheme, importance: NDArray[np.float32] | None
) -> float:
    off = quantize(w, scheme, importance=importance).dequantize().astype(np.float64) - w
    return float((off**2 * (1 if importance is None else importance)).sum())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_ratio_of_all_by_brute_force(name: str, weighted: bool) -> None:
    w, scheme = heavy(), SCHEMES[name]
    importance = np.linspace(0.1, 3, 128).astype(np.float32) if weighted else None
    group = scheme.group_for(128)
    parts = w.reshape(len(w), -1, group)
    low, high = np.minimum(parts.min(-1), 0), np.maximum(parts.max(-1), 0)
    if scheme.granularity == "tensor":
        low[:], high[:] = low.min(), high.max()
    errors = []
    for ratio in RATIOS:
        grid = grid_between(low * np.float32(ratio), high * np.float32(ratio), scheme)
        off = build(nearest(w, grid, scheme), grid, scheme).dequantize().astype(np.float64) - w
        off = off**2 * (1 if importance is None else importance)
        errors.append(off.reshape(len(w), -1, group).sum(-1))
    best = (
        np.sum(errors, axis=(1, 2)).min()
        if scheme.granularity == "tensor"
        else np.min(errors, axis=0).sum()
    )
    assert squared(w, parse_scheme(f"{name}-mse"), importance) == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_never_worse_and_for_four_bits_better(name: str) -> None:
    w = heavy()
    whole, clipped = (squared(w, parse_scheme(n), None) for n in (name, f"{name}-mse"))
    assert clipped <= whole * (1 + 1e-6)
    if SCHEMES[name].bits == 4:
        assert clipped < 0.95 * whole


def test_importance_moves_the_range_towards_what_counts() -> None:
    w = np.full((1, 32), 0.1, np.float32)
    w[0, ::2] = 0.06
    w[0, 7] = 1.0
    outlier = np.full(32, 1e-3, np.float32)
    outlier[7] = 100.0
    scheme = parse_scheme("int4-g32-mse")
    assert fit(w, scheme, importance=outlier).scale > fit(w, scheme, importance=1 / outlier).scale


def test_blocks_of_rows_do_not_change_the_result() -> None:
    w = np.tile(heavy(8, 128), (100, 8))
    scheme = parse_scheme("int4-g64-mse")
    assert np.array_equal(fit(w, scheme).scale[:8], fit(w[:8], scheme).scale)
