"""GPTQ against a plain form of it in float64, and against rounding to nearest."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from penjing.core.errors import ConfigError
from penjing.quantization.scheme import Scheme, parse_scheme
from penjing.transform.gptq import factorize, gptq
from penjing.transform.hessian import output_error, relative_error
from penjing.transform.rounder import Rounder

SCHEMES = ("int8", "int4", "int4-tensor", "int4-g32", "int4-asym-g32", "int4-asym", "uint8-g64")


def layer(rows: int = 24, columns: int = 192, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Weights (N, K), and the second moments of inputs that have much in common."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    mixed = torch.randn(columns // 4, columns, generator=generator)
    x = torch.randn(2000, columns // 4, generator=generator) @ mixed
    x = x + 0.3 * torch.randn(2000, columns, generator=generator)
    return weight, x.T @ x / 2000


def plain(weight: Tensor, hessian: Tensor, rounder: Rounder, order: list[int]) -> NDArray[np.int64]:
    """Optimal brain quantization in a fixed order (Frantar et al. 2022, section 3.1), column by
    column: the inverse Hessian is reduced by elimination, and there is no Cholesky factor."""
    w = weight.double().numpy().copy()
    h = hessian.double().numpy()
    inverse = np.linalg.inv(h + 0.01 * h.diagonal().mean() * np.eye(len(h)))
    group = rounder.group(w.shape[1])
    static = order != sorted(order) or group == w.shape[1]
    scale, zero = (t.double().numpy() for t in rounder.fit(weight))
    low, high = rounder.scheme.levels
    codes = np.zeros(w.shape, dtype=np.int64)
    left = list(order)
    while left:
        k = left[0]
        g = k // group
        if not static and k % group == 0:
            s, z = rounder.fit(torch.from_numpy(w[:, k : k + group]).float())
            scale[:, g], zero[:, g] = s[:, 0].double().numpy(), z[:, 0].double().numpy()
        q = np.clip(np.rint(w[:, k] / scale[:, g]) + zero[:, g], low, high)
        codes[:, k] = q
        error = (w[:, k] - scale[:, g] * (q - zero[:, g])) / inverse[k, k]
        w[:, left[1:]] -= np.outer(error, inverse[k, left[1:]])
        inverse = inverse - np.outer(inverse[:, k], inverse[k]) / inverse[k, k]
        left = left[1:]
    return codes


@pytest.mark.parametrize("by_size", [False, True])
@pytest.mark.parametrize("name", SCHEMES)
def test_like_the_plain_form_in_float64(name: str, by_size: bool) -> None:
    weight, hessian = layer()
    rounder = Rounder(parse_scheme(name))
    factor = factorize(hessian, by_size=by_size)
    got = gptq(weight, factor, rounder)
    expected = plain(weight, hessian, rounder, factor.order.tolist())
    # A weight midway between two levels may fall either way in float32, and others after it.
    assert (got.q == expected).mean() > 0.995
    assert got.q.min() >= rounder.scheme.levels[0] and got.q.max() <= rounder.scheme.levels[1]


@pytest.mark.parametrize("name", SCHEMES)
def test_the_outputs_change_less_than_by_rounding_to_nearest(name: str) -> None:
    weight, hessian = layer(seed=3)
    rounder = Rounder(parse_scheme(name))
    nearest = relative_error(rounder.nearest(weight), weight, hessian)
    for by_size in (False, True):
        got = gptq(weight, factorize(hessian, by_size=by_size), rounder)
        error = relative_error(torch.from_numpy(got.dequantize()), weight, hessian)
        assert error < 0.5 * nearest


def test_groups_that_do_not_divide_a_block() -> None:
    """Blocks have 128 columns: a group of 96 begins in one and ends in the next."""
    weight, hessian = layer(columns=288)
    rounder = Rounder(Scheme("int4-g96", 4, True, "group", 96))
    got = gptq(weight, factorize(hessian), rounder)
    assert (got.q == plain(weight, hessian, rounder, list(range(288)))).mean() > 0.995


def test_inputs_without_correlation_leave_plain_rounding() -> None:
    weight, _ = layer()
    rounder = Rounder(parse_scheme("int4-g32"))
    got = gptq(weight, factorize(torch.eye(192)), rounder)
    torch.testing.assert_close(torch.from_numpy(got.dequantize()), rounder.nearest(weight))


def test_a_case_worked_out_by_hand() -> None:
    """Two inputs that are always equal, weights 0.4 and 0.4, levels 0 and 1 (scale 1): nearest
    makes both 0, an error of 0.8; GPTQ makes the second one 1, an error of 0.2."""
    hessian = torch.ones(2, 2)
    weight = torch.tensor([[0.4, 0.4], [127.0, 0.0]])  # the other row sets the scale of all to 1
    rounder = Rounder(parse_scheme("int8-tensor"))
    assert rounder.nearest(weight)[0].tolist() == [0, 0]
    assert gptq(weight, factorize(hessian), rounder).q[0].tolist() == [0, 1]


def test_a_column_whose_input_is_always_zero() -> None:
    weight, hessian = layer()
    hessian[:, 7] = hessian[7] = 0
    got = gptq(weight, factorize(hessian), Rounder(parse_scheme("int4")))
    assert (got.q[:, 7] == 0).all()
    error = torch.from_numpy(got.dequantize()) - weight
    assert np.isfinite(output_error(error, hessian))


def test_a_singular_hessian_is_damped() -> None:
    """Fewer calibration tokens than columns."""
    x = torch.randn(5, 192, generator=torch.Generator().manual_seed(1))
    weight, _ = layer()
    rounder = Rounder(parse_scheme("int4"))
    got = gptq(weight, factorize(x.T @ x / 5, damping=0.0), rounder)
    error = relative_error(torch.from_numpy(got.dequantize()), weight, x.T @ x / 5)
    assert error < relative_error(rounder.nearest(weight), weight, x.T @ x / 5)


def test_activations_that_are_not_finite() -> None:
    with pytest.raises(ConfigError, match="not finite"):
        factorize(torch.full((4, 4), float("nan")))
