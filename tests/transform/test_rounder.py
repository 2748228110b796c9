"""What a file can hold of a matrix's scales and offsets."""

import pytest
import torch

from penjing.core.errors import ConfigError
from penjing.quantization.scheme import parse_scheme
from penjing.transform.rounder import Rounder


def test_offsets_beyond_float16() -> None:
    """GGUF's are; the scale, a fifteenth of the range, would still fit."""
    weight = torch.full((2, 32), -3e5)
    with pytest.raises(ConfigError, match=r"down to -3e\+05, and GGUF's offsets are float16"):
        Rounder(parse_scheme("int4-asym-g32"), "float16", gguf=True).fit(weight)
    scale, zero = Rounder(parse_scheme("int4-asym-g32"), "float16").fit(weight)
    assert (scale * zero).min() >= 3e5
