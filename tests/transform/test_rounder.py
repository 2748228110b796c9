"""Rounding in torch is rounding in NumPy, to the bit; and what a file can hold of scales."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penjing.core.errors import ConfigError
from penjing.quantization.floats import FloatName
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES, parse_scheme
from penjing.transform.rounder import Rounder


def test_offsets_beyond_float16() -> None:
    """GGUF's are; the scale, a fifteenth of the range, would still fit."""
    weight = torch.full((2, 32), -3e5)
    with pytest.raises(ConfigError, match=r"down to -3e\+05, and GGUF's offsets are float16"):
        Rounder(parse_scheme("int4-asym-g32"), "float16", gguf=True).fit(weight)
    scale, zero = Rounder(parse_scheme("int4-asym-g32"), "float16").fit(weight)
    assert (scale * zero).min() >= 3e5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", list(SCHEMES))
@settings(max_examples=20)
@given(data=st.data())
def test_torch_and_numpy_round_alike(name: str, dtype: FloatName, data: st.DataObject) -> None:
    """`transform` rounds in torch, `quantization` in NumPy: the levels and numbers are the same."""
    values = st.floats(-512, 512, width=32) | st.floats(-2, 2, width=16)  # the latter make ties
    w = data.draw(hnp.arrays(np.float32, (3, 256), elements=values))
    rounder, weight = Rounder(SCHEMES[name], dtype), torch.from_numpy(w)
    ours = rounder.quantize(weight, *rounder.fit(weight))
    theirs = quantize(w, SCHEMES[name], scale_dtype=dtype)
    assert ours.q.dtype == theirs.q.dtype and np.array_equal(ours.q, theirs.q)
    assert np.array_equal(ours.scale, theirs.scale)
    assert np.array_equal(ours.dequantize(), theirs.dequantize())
    assert np.array_equal(rounder.nearest(weight).numpy(), theirs.dequantize())


@pytest.mark.parametrize("name", ["int8-g32", "int4-g32", "int4-asym-g32"])
def test_what_gguf_holds_is_what_was_rounded_to(name: str) -> None:
    rounder = Rounder(parse_scheme(name), "float16", gguf=True)
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)) + 3
    stored = rounder.quantize(weight, *rounder.fit(weight))
    assert np.array_equal(rounder.nearest(weight).numpy(), stored.dequantize())
