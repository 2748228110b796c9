"""The knapsack, against trying all combinations."""

from itertools import product

import numpy as np
import pytest

from penjing.core.errors import ConfigError
from penjing.transform.budget import Choice, choose


def random_case(seed: int) -> tuple[list[list[Choice]], int]:
    draw = np.random.default_rng(seed)
    matrices = []
    for _ in range(6):
        size = int(draw.integers(1, 9)) * 64
        costs = sorted(draw.exponential(1.0, 3), reverse=True)
        matrices.append([Choice(b * size, c) for b, c in zip((4, 8, 16), costs, strict=True)])
    smallest = sum(row[0].bits for row in matrices)
    return matrices, smallest + int(draw.integers(0, 3 * smallest))


@pytest.mark.parametrize("seed", range(12))
def test_the_least_cost_of_all_combinations(seed: int) -> None:
    matrices, bits = random_case(seed)
    chosen = choose(matrices, bits)
    picked = [row[n] for row, n in zip(matrices, chosen, strict=True)]
    assert sum(choice.bits for choice in picked) <= bits
    best = min(
        sum(choice.cost for choice in combination)
        for combination in product(*matrices)
        if sum(choice.bits for choice in combination) <= bits
    )
    assert sum(choice.cost for choice in picked) == pytest.approx(best)


def test_the_sensitive_one_gets_the_bits() -> None:
    """Three matrices of one size; room for one of them at 8 bits."""
    rows = [[Choice(400, cost), Choice(800, 0.01)] for cost in (0.1, 2.0, 0.3)]
    assert choose(rows, 1600) == [0, 1, 0]
    assert choose(rows, 2000) == [0, 1, 1]
    assert choose(rows, 1599) == [0, 0, 0]
    assert choose(rows, 10**9) == [1, 1, 1]


def test_what_a_greedy_choice_gets_wrong() -> None:
    """The best gain for a bit is the small one, but then the large one has no room."""
    rows = [
        [Choice(0, 10.0), Choice(10, 0.0)],  # 1 a bit
        [Choice(0, 6.0), Choice(5, 0.0)],  # 1.2 a bit
    ]
    assert choose(rows, 10) == [1, 0]


def test_sizes_without_a_common_divisor() -> None:
    """A budget too large to count bit by bit is kept all the same."""
    rows = [[Choice(1_000_003, 1.0), Choice(7_000_001 + n, 0.0)] for n in range(9)]
    chosen = choose(rows, 40_000_000)
    assert sum(row[n].bits for row, n in zip(rows, chosen, strict=True)) <= 40_000_000
    assert sum(chosen) == 5


def test_an_impossible_budget() -> None:
    with pytest.raises(ConfigError, match="smallest choices need 400"):
        choose([[Choice(400, 1.0)]], 399)
