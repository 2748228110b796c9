"""Which matrix gets how many bits, when all together may have so many: a knapsack with choices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penjing.core.errors import ConfigError

UNITS = 20_000  # the budget is counted in at most so many steps; each choice is rounded up to one


@dataclass(frozen=True)
class Choice:
    """One way to store a matrix."""

    bits: int  # of all its weights and scales together
    cost: float  # what it does to the model, nats per token when only this matrix is changed


def choose(matrices: Sequence[Sequence[Choice]], bits: int) -> list[int]:
    """For each matrix which of its choices; at most `bits` in all, and the least cost in sum.

    That costs add up is an assumption (it holds while each is small). The least sum itself is
    exact, by dynamic programming, where the sizes have a large enough common divisor; else to one
    part in `UNITS` of the budget.

    Raises:
        ConfigError: even the smallest choices need more.
    """
    smallest = [min(choice.bits for choice in row) for row in matrices]
    spare = bits - sum(smallest)
    if spare < 0:
        raise ConfigError(
            f"The budget of {bits:,} bits is impossible: the smallest choices need "
            f"{sum(smallest):,}."
        )
    extra = [[c.bits - least for c in row] for row, least in zip(matrices, smallest, strict=True)]
    step = max(math.gcd(*(e for row in extra for e in row)), -(-spare // UNITS), 1)
    room = spare // step
    best = np.zeros(room + 1)  # the least cost with at most so many steps
    picked = np.zeros((len(matrices), room + 1), dtype=np.int32)
    for n, (row, sizes) in enumerate(zip(matrices, extra, strict=True)):
        total = np.full(room + 1, np.inf)
        for c in sorted(range(len(row)), key=lambda c: sizes[c]):
            steps = -(-sizes[c] // step)
            if steps > room:
                continue
            with_it = np.full(room + 1, np.inf)
            with_it[steps:] = best[: room + 1 - steps] + max(row[c].cost, 0.0)
            better = with_it < total
            total[better], picked[n][better] = with_it[better], c
        best = total
    chosen, left = [0] * len(matrices), room
    for n in reversed(range(len(matrices))):
        c = chosen[n] = int(picked[n][left])
        left -= -(-extra[n][c] // step)
    return chosen
