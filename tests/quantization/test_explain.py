"""The explanation of one matrix, held to SciPy, NumPy and to what is known of made-up weights."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from penjing.core.errors import CheckpointError, ConfigError
from penjing.quantization.errors import of_error
from penjing.quantization.explain import BINS, STRETCH, explain
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES, parse_scheme

NAMES = ("int8-tensor", "int8", "uint8", "int4-g32", "int4-asym-g64-mse")


def normal(rows: int = 64, columns: int = 256) -> NDArray[np.float32]:
    return (np.random.default_rng(3).standard_normal((rows, columns)) * 0.05).astype(np.float32)


def schemes() -> list:
    return [parse_scheme(name) for name in NAMES]


def test_the_weights_as_scipy_sees_them() -> None:
    w = np.random.default_rng(0).standard_t(5, (50, 64)).astype(np.float32)
    seen = explain(w, [], name="up").weights
    assert (seen.name, seen.rows, seen.columns) == ("up", 50, 64)
    assert seen.kurtosis == pytest.approx(stats.kurtosis(w.astype(np.float64), axis=None))
    assert seen.deviation == pytest.approx(w.astype(np.float64).std())
    assert (seen.low, seen.high) == (float(w.min()), float(w.max()))
    assert len(seen.counts) == BINS == len(seen.edges) - 1 and sum(seen.counts) == w.size
    assert seen.edges[BINS // 2] < 0 < seen.edges[BINS // 2 + 1]
    first = seen.outliers[0]
    assert abs(w[first.row, first.column]) == np.abs(w).max() == abs(first.value)
    sizes = [abs(outlier.value) for outlier in seen.outliers]
    assert sizes == sorted(sizes, reverse=True)
    assert first.deviations == pytest.approx(sizes[0] / seen.deviation)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_scheme_makes_of_them(name: str) -> None:
    w, scheme = normal(), parse_scheme(name)
    tensor = quantize(w, scheme)
    (row,) = explain(w, [scheme], name="up").rounded
    assert (row.scheme, row.described) == (name, scheme.described)
    assert row.error == of_error(w, tensor.dequantize() - w)
    assert row.n_scales == (1 if name == "int8-tensor" else tensor.scale.size)
    assert row.scales[0] == tensor.scale.min() and row.scales[2] == tensor.scale.max()
    low, high = scheme.levels
    assert row.n_levels == high - low + 1
    values, counts = np.unique(tensor.q, return_counts=True)
    assert row.levels_used == len(values)
    assert row.entropy == pytest.approx(stats.entropy(counts, base=2))
    assert row.entropy < scheme.bits
    zero = tensor.zero_points()
    assert row.zero_points == (None if zero is None else (zero.min(), zero.max()))
    assert (row.reach[1] - row.reach[0]) == pytest.approx(row.scales[1] * (high - low))
    assert (row.cut_off > 0) == name.endswith("-mse")


def test_neighbours_of_the_largest_weight() -> None:
    w = normal()
    w[7, 250] = -3
    found = explain(w, [SCHEMES["int8"]], name="up")
    row, start = found.stretch_from
    assert row == 7 and start <= 250 < start + STRETCH <= 256
    assert found.stretch == tuple(map(float, w[7, start : start + STRETCH]))
    rounded = quantize(w, SCHEMES["int8"]).dequantize()[7, start : start + STRETCH]
    assert found.rounded[0].stretch == tuple(map(float, rounded))


def test_what_one_outlier_costs() -> None:
    w = np.clip(normal(), -0.1, 0.1)
    calm = {s.shared: s for s in explain(w, [], name="up").sharing}
    w[5, 40] = 3.2  # 32 times the others: five bits
    wild = {s.shared: s for s in explain(w, [], name="up").sharing}
    assert list(wild) == ["tensor", "channel", "128", "64", "32"]
    assert [s.n_groups for s in wild.values()] == [1, 64, 128, 256, 512]
    assert all(s.spoiled == 0 for s in calm.values())
    assert [s.spoiled for s in wild.values()] == [1, 1 / 64, 1 / 128, 1 / 256, 1 / 512]
    assert wild["tensor"].bits_lost == pytest.approx(5, abs=0.1)
    assert wild["tensor"].stretched == wild["tensor"].most_stretched == pytest.approx(32, rel=0.1)
    assert wild["channel"].most_stretched > 30 and wild["channel"].stretched < 1.5
    assert calm["tensor"].int8_db - calm["32"].int8_db > -6
    decibels = [s.int4_db for s in wild.values()]
    assert decibels == sorted(decibels)
    assert all(s.int8_db > s.int4_db + 15 for s in wild.values())


@pytest.mark.parametrize("value", [0.0, -0.25])
def test_constants(value: float) -> None:
    found = explain(np.full((4, 64), value, np.float32), schemes()[:4], name="up")
    assert found.weights.kurtosis == 0 and found.weights.deviation == 0
    assert all(r.entropy == 0 and r.levels_used == 1 for r in found.rounded)
    assert all(s.bits_lost == 0 and s.spoiled == 0 for s in found.sharing)


def test_groups_of_equal_zeros_are_not_spoiled() -> None:
    w = np.zeros((4, 64), np.float32)
    w[0, 0] = 1.0
    assert {s.spoiled for s in explain(w, [], name="up").sharing} == {0.0}


def test_columns_that_no_group_fills() -> None:
    found = explain(normal(3, 50), [SCHEMES["int8"]], name="up")
    assert [s.shared for s in found.sharing] == ["tensor", "channel"]
    with pytest.raises(ConfigError, match="up has 50 columns"):
        explain(normal(3, 50), [SCHEMES["int4-g32"]], name="up")


def test_what_is_no_matrix_of_numbers() -> None:
    with pytest.raises(CheckpointError, match="norm has the shape"):
        explain(np.ones(4, np.float32), schemes(), name="norm")
    with pytest.raises(CheckpointError, match="up holds a NaN"):
        explain(np.full((2, 64), np.nan, np.float32), [], name="up")


def test_it_is_plain_data() -> None:
    import json

    found = explain(normal(), schemes(), name="up")
    assert json.loads(json.dumps(asdict(found)))["weights"]["rows"] == 64
