"""Sampling settings out of range are refused by name."""

from typing import Any

import pytest

from penjing.core.errors import ConfigError, GenerationError
from penjing.core.table import Table
from penjing.core.types import SamplingParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", float("nan")),
        ("min_p", 1.0),
        ("repetition_penalty", 0.0),
        ("max_new_tokens", 0),
        ("logprobs", -1),
        ("stop", ("",)),
        ("stop", "END"),
    ],
)
def test_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(GenerationError, match=name):
        SamplingParams(**{name: value})


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
def test_not_finite(name: str) -> None:
    with pytest.raises(GenerationError, match="finite"):
        SamplingParams(**{name: float("nan")})
    with pytest.raises(GenerationError, match="finite"):
        SamplingParams(logit_bias={1: float("inf")})


def test_the_defaults_are_valid() -> None:
    assert SamplingParams().temperature == 1.0


def test_a_table_says_what_was_meant() -> None:
    table = Table("fruit", {"apple": 1, "pear": 2})
    assert table["pear"] == 2 and list(table) == ["apple", "pear"] and len(table) == 2
    with pytest.raises(ConfigError, match=r"Unknown fruit 'aple'\. Did you mean 'apple'"):
        table["aple"]
