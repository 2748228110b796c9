"""A mix of schemes within a budget, from what each matrix does to the model at each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from penjing.core.errors import ConfigError
from penjing.model.base import LanguageModel
from penjing.quantization.scheme import Scheme
from penjing.transform.budget import Choice, choose
from penjing.transform.matrices import HEAD, TABLE, Matrix, weight_of
from penjing.transform.plan import Plan
from penjing.transform.rounder import Rounder
from penjing.transform.sensitivity import measure_all


@dataclass(frozen=True)
class Mix:
    """What was measured, and what was chosen."""

    schemes: dict[str, Scheme | None]  # by our name of a matrix of the layers; None: kept
    divergences: dict[str, dict[str, float]]  # by name and scheme, nats per token


def choose_mix(
    model: LanguageModel,
    plan: Plan,
    candidates: Sequence[Scheme],
    windows: Tensor,
    *,
    bits: float,
    n_parameters: int,
    kept_bits: int,
    tick: Callable[[float], None],
) -> Mix:
    """The schemes with the least divergence in sum whose sizes keep within the budget.

    Args:
        plan: which matrices may be quantized at all; head and table have schemes of their own.
        windows: (S, T) ids of some calibration text.
        bits: per weight of the model, whatever is kept included.
        n_parameters: of the model, a tied table counted once.
        kept_bits: of each weight that stays as it is.

    Raises:
        ConfigError: the budget is below what the smallest schemes need, or above the model.
    """
    mine = [m for m in plan.matrices if m.name in plan.rounders and m.name not in (HEAD, TABLE)]
    like = next(iter(plan.rounders.values()))
    every = [replace(like, scheme=scheme) for scheme in candidates]
    fitting = [_fitting(every, weight_of(model, matrix.name).size(1)) for matrix in mine]
    sizes = [
        [*(_bits(matrix, model, rounder) for rounder in row), _kept(matrix, model, kept_bits)]
        for matrix, row in zip(mine, fitting, strict=True)
    ]
    fixed = fixed_bits(model, plan, mine, kept_bits)
    _check(bits, candidates, sizes, fixed, n_parameters)
    measured = measure_all(model, windows, list(zip(mine, fitting, strict=True)), tick)
    options = [
        [Choice(size, cost) for size, cost in zip(row, [*costs, 0.0], strict=True)]
        for row, costs in zip(sizes, measured, strict=True)
    ]
    chosen = choose(options, int(bits * n_parameters) - fixed)
    schemes: dict[str, Scheme | None] = dict.fromkeys(matrix.name for matrix in plan.matrices)
    divergences = {}
    for matrix, row, costs, number in zip(mine, fitting, measured, chosen, strict=True):
        names = [rounder.scheme.name for rounder in row]
        schemes[matrix.name] = row[number].scheme if number < len(row) else None
        divergences[matrix.name] = dict(zip(names, costs, strict=True))
    return Mix(schemes, divergences)


def _check(
    bits: float,
    candidates: Sequence[Scheme],
    sizes: Sequence[Sequence[int]],
    fixed: int,
    n_parameters: int,
) -> None:
    """Raises ConfigError for a budget that is too small, or none at all."""
    least, whole = ((fixed + sum(pick(row) for row in sizes)) / n_parameters for pick in (min, max))
    if bits < least:
        raise ConfigError(
            f"A budget of {bits:g} bits per weight is impossible: with "
            f"{' and '.join(s.name for s in candidates)} the model needs at least {least:.2f}, of "
            f"which {fixed / n_parameters:.2f} are what is not in the mix (--keep, the table of "
            "embeddings, norms). Raise --bits, add a smaller scheme, or see --head."
        )
    if bits >= whole:
        raise ConfigError(
            f"A budget of {bits:g} bits per weight needs no quantizing: the model has "
            f"{whole:.2f}. Choose one below that, and from {least:.2f} up."
        )


def _fitting(rounders: Sequence[Rounder], columns: int) -> list[Rounder]:
    """Those whose groups fill a row."""
    return [r for r in rounders if columns % (r.scheme.group or 1) == 0]


def _bits(matrix: Matrix, model: LanguageModel, rounder: Rounder) -> int:
    """Of a matrix on disk, scales and zero points included."""
    columns = weight_of(model, matrix.name).size(1)
    return sum(rounder.stored_bits(rows, columns) for rows in matrix.rows)


def _kept(matrix: Matrix, model: LanguageModel, kept_bits: int) -> int:
    return weight_of(model, matrix.name).numel() * kept_bits


def fixed_bits(model: LanguageModel, plan: Plan, mine: Sequence[Matrix], kept_bits: int) -> int:
    """Bits of all that the mix does not decide on."""
    total = model.n_parameters() * kept_bits
    if next(iter(plan.rounders.values())).gguf:  # which has all that is no matrix in float32
        inside = sum(weight_of(model, matrix.name).numel() for matrix in plan.matrices)
        total += (model.n_parameters() - inside) * (32 - kept_bits)
    for matrix in plan.matrices:
        if matrix in mine or matrix.name in plan.rounders:
            total -= _kept(matrix, model, kept_bits)
        if matrix not in mine and matrix.name in plan.rounders:
            total += _bits(matrix, model, plan.rounders[matrix.name])
    return total
