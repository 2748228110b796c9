"""The learning rate: up, level, down."""

from itertools import pairwise

import pytest

from penjing.train.config import ScheduleConfig
from penjing.train.schedule import rate


def test_the_shape() -> None:
    config = ScheduleConfig(warmup_steps=10, decay_fraction=0.4, final_fraction=0.1)
    rates = [rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[9] == pytest.approx(10 / 11)
    assert all(r == 1 for r in rates[10:61])
    assert rates[80] == pytest.approx(0.1 + 0.9 * 0.5)
    assert all(a > b for a, b in pairwise(rates[60:]))
    assert rates[99] == pytest.approx(0.1 + 0.9 / 40)


def test_flat() -> None:
    config = ScheduleConfig(warmup_steps=0, decay_fraction=0)
    assert [rate(step, 3, config) for step in range(3)] == [1, 1, 1]
