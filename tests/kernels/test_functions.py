"""Functions of 16 lanes against float64; norms against NumPy; float16 against NumPy's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from penjing.kernels import functions, lanes
from penjing.kernels.memory import load, store

UNIT = 2.0**-24


def on_arrays(function: Any) -> Callable[[np.ndarray], np.ndarray]:
    @njit
    def run(source: int, out: int, count: int) -> None:
        for i in range(0, 4 * count, 64):
            store(out + i, function(load(source + i)))

    def call(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        run(x.ctypes.data, out.ctypes.data, x.size)
        return out

    return call


def test_exp() -> None:
    exp = on_arrays(functions.exp)
    x = np.linspace(-87, 88, 1 << 18).astype(np.float32)
    wanted = np.exp(x.astype(np.float64))
    assert np.max(np.abs(exp(x) - wanted) / wanted) < 3 * UNIT
    special = np.array([0, -np.inf, np.inf, np.nan, -104, 200, -100, 1] * 2, np.float32)
    got = exp(special)
    assert got[0] == 1
    assert got[1] == got[4] == 0
    assert got[2] == got[5] == exp(np.full(16, 88, np.float32))[0]
    assert np.isnan(got[3])
    assert abs(got[6] - np.exp(-100.0)) < 2.0**-149  # below what is a normal number


def test_silu() -> None:
    x = np.linspace(-80, 80, 1 << 18).astype(np.float32)
    exact = x.astype(np.float64)
    wanted = exact / (1 + np.exp(-exact))
    assert np.max(np.abs(on_arrays(functions.silu)(x) - wanted) / np.abs(wanted)) < 8 * UNIT


def test_gelu() -> None:
    x = np.linspace(-5, 5, 1 << 18).astype(np.float32)
    exact = x.astype(np.float64)
    z2 = 2 * np.sqrt(2 / np.pi) * (exact + 0.044715 * exact**3)
    wanted = exact / (1 + np.exp(-z2))
    error = np.abs(on_arrays(functions.gelu)(x) - wanted) / np.abs(wanted) / (1 + np.abs(z2))
    assert np.max(error) < 8 * UNIT


@njit
def norm(row: int, weight: int, bias: int, width: int, eps: float, out: int) -> None:
    functions.norm(row, weight, bias, width, eps, out)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("width", [1, 15, 16, 20, 64, 97, 576])
def test_norms(width: int, biased: bool) -> None:
    rng, whole = np.random.default_rng(width), -(-width // 16) * 16
    x, weight, bias = np.zeros((3, whole), np.float32)
    x[:width], weight[:width], bias[:width] = rng.normal(size=(3, width)) + 1
    out = np.full(whole + 16, 7, np.float32)
    address = bias.ctypes.data if biased else 0
    norm(x.ctypes.data, weight.ctypes.data, address, width, 1e-5, out.ctypes.data)
    exact = x[:width].astype(np.float64)
    if biased:
        exact = exact - exact.mean()
    wanted = exact / np.sqrt((exact**2).mean() + 1e-5) * weight[:width]
    wanted += bias[:width] if biased else 0
    np.testing.assert_allclose(out[:width], wanted, rtol=1e-5, atol=2e-6)
    assert (out[width:whole] == 0).all()  # the next product, and the next norm, may read them
    assert (out[whole:] == 7).all()


def halves(x: np.ndarray) -> np.ndarray:
    @njit
    def run(source: int, out: int, count: int) -> None:
        for i in range(0, count, 16):
            lanes.store_halves(out + 2 * i, load(source + 4 * i))

    out = np.empty(x.size, np.float16)
    run(x.ctypes.data, out.ctypes.data, x.size)
    return out


@pytest.mark.parametrize("by_hand", [False, True])
def test_float16(by_hand: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processor's instruction, and in integer arithmetic: NumPy's bits."""
    if by_hand:
        monkeypatch.setattr(lanes, "converts_halves", lambda _context: False)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=1 << 14) * 10.0 ** rng.integers(-9, 5, 1 << 14)).astype(np.float32)
    x[:13] = 0, -0.0, 65504, 65519, 6e-8, 2.98e-8, 2.99e-8, 6.1e-5, 6.0975e-5, 2049, 2051, 1, -1
    x = x[np.abs(x) < 65520]
    x = x[: x.size // 16 * 16]
    np.testing.assert_array_equal(halves(x).view(np.uint16), x.astype(np.float16).view(np.uint16))
    beyond = np.array([1e9, -1e9, np.inf, -np.inf, np.nan] + [0] * 11, np.float32)
    got = halves(beyond)
    np.testing.assert_array_equal(got[:4], np.array([65504, -65504, 65504, -65504], np.float16))
    assert np.isnan(got[4])
