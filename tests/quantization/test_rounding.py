"""Round-to-nearest, held to float64 and to what must be true of any matrix."""

import numpy as np
import pytest
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize
from compressed_tensors.quantization.lifecycle.forward import quantize as their_quantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError, ConfigError
from penjing.quantization.errors import of_error
from penjing.quantization.floats import FloatName
from penjing.quantization.rounding import Grid, fit, nearest, quantize
from penjing.quantization.scheme import SCHEMES, Scheme

Matrix = NDArray[np.float32]
PLAIN = [name for name, scheme in SCHEMES.items() if not scheme.activations]
SOME = ["int8", "int8-tensor", "uint8", "uint8-g64", "int4-g32", "int4-asym-g128"]
FLOATS = st.floats(-(2.0**40), 2.0**40, width=32)
MATRICES = hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.just(128)), elements=FLOATS)
SMALL = hnp.arrays(np.float32, (2, 128), elements=st.floats(-2.0, 2.0, width=16))


def normal(rows: int = 6, columns: int = 256, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def by_the_book(w: Matrix, scheme: Scheme) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The dequantized matrix and the scale of each weight, in float64, one group at a time."""
    n, k = w.shape
    group = scheme.group_for(k)
    out, scales = np.empty((2, n, k))
    low, high = scheme.levels
    for row in range(n):
        for start in range(0, k, group):
            part = slice(start, start + group)
            shared = w if scheme.granularity == "tensor" else w[row, part]
            least = min(0.0, float(shared.min()))
            most = max(0.0, float(shared.max()))
            if scheme.symmetric:
                scale = float(np.float32(max(most / high, least / low))) or 1.0
                zero = 0.0
            else:
                scale = float(np.float32((most - least) / (high - low))) or 1.0
                zero = np.rint(-least / scale)
            q = np.clip(np.rint(w[row, part].astype(np.float64) / scale) + zero, low, high)
            out[row, part] = scale * (q - zero)
            scales[row, part] = scale
    return out, scales


@pytest.mark.parametrize("name", PLAIN)
def test_as_in_float64(name: str) -> None:
    w = normal() * 0.05
    expected, _ = by_the_book(w, SCHEMES[name])
    ours = quantize(w, SCHEMES[name]).dequantize()
    off = np.abs(ours - expected) > 1e-6
    assert off.mean() < 1e-3  # at a tie float32 may round the other way
    assert np.abs(ours - w).max() <= np.abs(expected - w).max() * (1 + 1e-5)


def test_the_articles_example() -> None:
    """Symmetric int8: the scale from the largest magnitude; asymmetric: 0..255 and a zero point."""
    w = np.array([[-1.0, -0.5, 0.0, 0.25, 0.5]], np.float32)
    symmetric = quantize(w, SCHEMES["int8"])
    assert symmetric.scale[0, 0] == np.float32(1 / 127) and symmetric.offset is None
    assert symmetric.q.tolist() == [[-127, -64, 0, 32, 64]]
    asymmetric = quantize(w, SCHEMES["uint8"])
    assert asymmetric.scale[0, 0] == pytest.approx(1.5 / 255)
    assert asymmetric.q.tolist() == [[0, 85, 170, 212, 255]]
    zero = asymmetric.zero_points()
    assert zero is not None and zero.tolist() == [[170]]


@pytest.mark.parametrize("name", SOME)
@settings(max_examples=40)
@given(w=MATRICES)
def test_no_weight_is_off_by_more_than_half_a_scale(name: str, w: Matrix) -> None:
    quantized = quantize(w, SCHEMES[name])
    each = np.repeat(quantized.scale, quantized.group, axis=1).astype(np.float64)
    error = np.abs(quantized.dequantize().astype(np.float64) - w)
    largest = np.repeat(np.abs(w).reshape(*quantized.scale.shape, -1).max(-1), quantized.group, 1)
    assert np.all(error <= each / 2 + 1e-6 * largest)


@pytest.mark.parametrize("name", SOME)
@settings(max_examples=40)
@given(w=MATRICES)
def test_zero_stays_zero(name: str, w: Matrix) -> None:
    w[:, ::3] = 0
    assert not quantize(w, SCHEMES[name]).dequantize()[:, ::3].any()


@pytest.mark.parametrize("name", SOME)
@settings(max_examples=40)
@given(w=SMALL)
def test_what_is_on_the_grid_stays_there(name: str, w: Matrix) -> None:
    once = quantize(w, SCHEMES[name])
    grid = Grid(once.scale, once.zero_points())
    assert np.array_equal(nearest(once.dequantize(), grid, SCHEMES[name]), once.q)


@pytest.mark.parametrize("name", [n for n in SOME if SCHEMES[n].symmetric])
@settings(max_examples=40)
@given(w=SMALL)
def test_quantizing_the_dequantized_gives_the_same(name: str, w: Matrix) -> None:
    once = quantize(w, SCHEMES[name]).dequantize()
    assert np.allclose(quantize(once, SCHEMES[name]).dequantize(), once, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in PLAIN if not SCHEMES[n].symmetric])
def test_quantizing_the_dequantized_again_where_a_range_has_a_zero_point(name: str) -> None:
    once = quantize(normal(seed=4), SCHEMES[name]).dequantize()
    assert np.allclose(quantize(once, SCHEMES[name]).dequantize(), once, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-40, -1e38, 3e38, 1e-7])
def test_constants(name: str, value: float) -> None:
    w = np.full((2, 128), value, np.float32)
    quantized = quantize(w, SCHEMES[name])
    tiny = 1e-38 if abs(value) < 1e-30 else 0.0
    assert np.allclose(quantized.dequantize(), w, rtol=1e-6, atol=tiny)
    assert np.isfinite(quantized.scale).all() and (quantized.scale > 0).all()


def test_the_whole_range_of_float32() -> None:
    w = np.tile(np.array([1e38, -1e38, 1.0, 0.0], np.float32), (2, 32))
    for name in PLAIN:
        quantized = quantize(w, SCHEMES[name])
        assert np.isfinite(quantized.scale).all()
        assert np.abs(quantized.dequantize() - w).max() <= quantized.scale.max() * 0.51


def test_an_outlier_costs_only_those_that_share_its_scale() -> None:
    w = normal(4, 256)
    w[1, 40] = 500.0
    errors = {
        name: np.abs(quantize(w, SCHEMES[name]).dequantize() - w)
        for name in ("int8-tensor", "int8", "int8-g32")
    }
    calm = np.ones((4, 256), bool)
    calm[1] = False
    assert errors["int8-tensor"][calm].max() > 0.5 > 0.02 > errors["int8"][calm].max()
    calm[1] = True
    calm[1, 32:64] = False
    assert errors["int8"][calm].max() > 0.5 > 0.02 > errors["int8-g32"][calm].max()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["int8", "uint8-tensor", "int4-g32"])
def test_what_is_no_number_is_named(name: str, bad: float) -> None:
    w = normal()
    w[3, 77] = bad
    with pytest.raises(CheckpointError, match=r"layers\.3\.up_proj holds a NaN .* in row 3"):
        quantize(w, SCHEMES[name], name="layers.3.up_proj")


def test_shapes_that_cannot_be_quantized() -> None:
    with pytest.raises(CheckpointError, match=r"bias has the shape \(5,\)"):
        quantize(np.zeros(5, np.float32), SCHEMES["int8"], name="bias")
    with pytest.raises(ConfigError, match="up has 96 columns"):
        quantize(np.zeros((2, 96), np.float32), SCHEMES["int8-g64"], name="up")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", PLAIN)
def test_scales_of_the_checkpoints_precision(name: str, dtype: FloatName) -> None:
    w = normal() * 0.02
    quantized = quantize(w, SCHEMES[name], scale_dtype=dtype)
    held = torch.from_numpy(quantized.scale).to(getattr(torch, dtype)).float().numpy()
    assert np.array_equal(held, quantized.scale)
    each = np.repeat(quantized.scale, quantized.group, axis=1)
    assert np.all(np.abs(quantized.dequantize() - w) <= each / 2 * (1 + 1e-5))


@pytest.mark.parametrize(
    "name", ["int8", "uint8", "int4", "int4-g64", "int4-asym-g32", "uint8-g128"]
)
def test_the_same_levels_as_compressed_tensors_on_the_same_grid(name: str) -> None:
    scheme, w = SCHEMES[name], normal()
    ours = quantize(w, scheme)
    args = QuantizationArgs(
        num_bits=scheme.bits,
        symmetric=scheme.symmetric,
        strategy=scheme.granularity,
        group_size=scheme.group or None,
    )
    half = 0 if scheme.symmetric else 1 << (scheme.bits - 1)
    zero = ours.zero_points()
    signed = torch.zeros(1) if zero is None else torch.from_numpy(zero - half)
    scale = torch.from_numpy(ours.scale)
    theirs = their_quantize(torch.from_numpy(w), scale, signed, args, dtype=torch.int8)
    assert np.array_equal(theirs.numpy().astype(int), ours.q.astype(int) - half)
    again = dequantize(theirs, scale, signed, args)
    assert np.allclose(again.numpy(), ours.dequantize(), rtol=1e-6, atol=1e-6)


def test_figures_in_float64() -> None:
    w = normal()
    quantized = quantize(w, SCHEMES["int4-g32"])
    rounded = quantized.dequantize()
    error = rounded.astype(np.float64) - w
    found = of_error(w, rounded - w)
    assert found.max == pytest.approx(np.abs(error).max())
    assert found.rms == pytest.approx(np.sqrt((error**2).mean()))
    power = (w.astype(np.float64) ** 2).sum() / (error**2).sum()
    assert found.sqnr_db == pytest.approx(10 * np.log10(power))
    exact = of_error(w, np.zeros_like(w))
    assert exact.max == 0 and exact.sqnr_db == np.inf


def test_a_grid_does_not_depend_on_the_other_rows() -> None:
    w = normal(300, 512)
    whole = fit(w, SCHEMES["int4-asym-g64"])
    part = fit(w[137:140], SCHEMES["int4-asym-g64"])
    assert np.array_equal(whole.scale[137:140], part.scale)
