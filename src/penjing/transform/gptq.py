"""GPTQ: round column after column, and let the columns to come make up for each error.

Frantar, Ashkboos, Hoefler and Alistarh 2022, algorithm 1. The error that rounding column k makes in
the layer's outputs is undone as well as can be by the columns after it; what each of them takes
over follows from the inverse Hessian of the inputs, whose upper Cholesky factor holds, row by row,
the inverse of the Hessian that remains once the columns before are fixed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from penjing.core.errors import ConfigError
from penjing.quantization.tensor import QuantizedTensor
from penjing.transform.rounder import Rounder

BLOCK = 128  # columns whose errors are passed on together, in one product


@dataclass(frozen=True)
class Factor:
    """What the rounding needs of the inputs; the same for all matrices that read them."""

    upper: Tensor  # (K, K) upper Cholesky factor of the inverse Hessian, in the order of rounding
    order: Tensor  # (K,) columns in the order of rounding
    dead: Tensor  # (K,) whether a column's input was always 0, so that its weights do nothing


def factorize(hessian: Tensor, *, damping: float = 0.01, by_size: bool = False) -> Factor:
    """The factor of H + damping * mean(diag H) * I, (K, K); in float64, as the inverse is delicate.

    `by_size` takes the columns with the largest inputs first, while many are left to make up for
    them. Where that is still not positive definite, ten times the damping is tried, up to 1.

    Raises:
        ConfigError: the Hessian has a NaN or an infinity, or cannot be factored at all.
    """
    h = hessian.double()
    if not bool(h.isfinite().all()):
        raise ConfigError("The calibration activations are not finite: the model overflows on it.")
    diagonal = h.diagonal()
    dead = diagonal == 0
    h = h + torch.diag(dead.double())
    order = torch.arange(len(h))
    if by_size:
        order = torch.argsort(diagonal, descending=True, stable=True)
    h = h[order][:, order]
    mean = float(h.diagonal().mean())
    while damping <= 1:
        damped = h + damping * mean * torch.eye(len(h), dtype=h.dtype)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not int(failed):
            inverse = torch.cholesky_inverse(lower)
            upper, failed = torch.linalg.cholesky_ex(inverse, upper=True)
            if not int(failed):
                return Factor(upper.float(), order, dead)
        damping = max(10 * damping, 1e-4)
    raise ConfigError("The calibration text is too short: no order of rounding follows from it.")


def gptq(weight: Tensor, factor: Factor, rounder: Rounder) -> QuantizedTensor:
    """Round `weight` (N, K) such that the layer's outputs change little.

    The scales of a group are found when its turn comes, from weights that hold the errors of the
    groups before. Where one scale serves all columns, or they are taken in another order than
    their own, scales are found first.
    """
    rows, columns = weight.shape
    group = rounder.group(columns)
    w = torch.where(factor.dead, 0.0, weight.float())
    in_turn = group < columns and bool((factor.order == torch.arange(columns)).all())
    scale, zero = rounder.fit(w)  # (N, K / group) each
    w = w.T[factor.order].contiguous()  # (K, N): a column is a row here
    codes = torch.empty_like(w)
    upper, place = factor.upper, (factor.order // group).tolist()
    for begin in range(0, columns, BLOCK):
        end = min(begin + BLOCK, columns)
        errors = w.new_zeros(end - begin, rows)
        for k in range(begin, end):
            g = place[k]
            if in_turn and k % group == 0:
                whole = w[k : k + group].clone()
                if k + group > end:  # columns of later blocks lack this block's errors so far
                    whole[end - k :] -= upper[begin:k, end : k + group].T @ errors[: k - begin]
                scale[:, [g]], zero[:, [g]] = rounder.fit(whole.T)
            codes[k] = rounder.codes(w[k], scale[:, g], zero[:, g])
            value = rounder.values(codes[k], scale[:, g], zero[:, g])
            error = (w[k] - value) / upper[k, k]
            w[k + 1 : end] -= upper[k, k + 1 : end, None] * error
            errors[k - begin] = error
        w[end:] -= upper[begin:end, end:].T @ errors
    return rounder.tensor(codes[torch.argsort(factor.order)].T.contiguous(), scale, zero)
