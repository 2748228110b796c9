"""Scales rounded up to a precision: torch is the judge of what it can hold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import ConfigError
from penjing.quantization.floats import FloatName, fits, round_up

NAMES: tuple[FloatName, ...] = ("float32", "bfloat16", "float16")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@given(value=st.floats(0, 6e4, width=32))
def test_the_next_number_above(dtype: FloatName, value: float) -> None:
    (up,) = round_up(np.array([value], np.float32), dtype)
    held = torch.tensor([up]).to(getattr(torch, dtype))
    assert held.float().item() == up >= value and fits(np.array([up]), dtype)
    below = torch.nextafter(held, torch.zeros_like(held)).float().item()
    assert below < max(value, 2**-126 if dtype == "bfloat16" else 2**-24)


@pytest.mark.parametrize("dtype", NAMES)
def test_zero_becomes_the_smallest_scale(dtype: FloatName) -> None:
    assert round_up(np.zeros(1, np.float32), dtype)[0] > 0


@pytest.mark.parametrize("dtype", NAMES)
def test_what_cannot_be_held_is_refused(dtype: FloatName) -> None:
    limit = torch.finfo(getattr(torch, dtype)).max
    assert round_up(np.array([limit]), dtype)[0] == limit
    with pytest.raises(ConfigError, match=f"up_proj needs a scale of .* {dtype} cannot"):
        round_up(np.array([limit * 1.001]), dtype, name="up_proj")


def test_what_does_not_fit() -> None:
    third = np.array([1 / 3], np.float32)
    assert fits(third, "float32") and not fits(third, "bfloat16") and not fits(third, "float16")
    assert not fits(np.array([1e6], np.float32), "float16")
