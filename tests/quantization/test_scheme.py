"""The table of schemes, and their names."""

import pytest

from penjing.core.errors import ConfigError
from penjing.quantization.scheme import SCHEMES, parse_scheme


def test_every_kind_has_every_granularity() -> None:
    for kind in ("int8", "uint8", "int4", "int4-asym"):
        assert SCHEMES[kind].granularity == "channel"
        assert SCHEMES[f"{kind}-tensor"].granularity == "tensor"
        assert [SCHEMES[f"{kind}-g{g}"].group for g in (32, 64, 128)] == [32, 64, 128]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_name_gives_its_scheme(name: str) -> None:
    scheme = parse_scheme(name)
    assert scheme == SCHEMES[name] and scheme.name == name and scheme.clipping == "none"
    clipped = parse_scheme(f" {name.upper()}-mse ")
    assert clipped.clipping == "mse" and clipped.name == f"{name}-mse"
    assert (clipped.bits, clipped.group) == (scheme.bits, scheme.group)


@pytest.mark.parametrize(
    ("name", "levels"),
    [("int8", (-127, 127)), ("uint8", (0, 255)), ("int4", (-8, 7)), ("int4-asym", (0, 15))],
)
def test_the_levels_of_the_articles(name: str, levels: tuple[int, int]) -> None:
    assert SCHEMES[name].levels == levels


def test_in_words() -> None:
    assert SCHEMES["int4-g64"].described == "int4 symmetric, groups of 64"
    assert SCHEMES["w4a8-g64"].group == 64 and SCHEMES["w4a8-g64"].bits == 4
    assert SCHEMES["w8a8"].described == "int8 symmetric, per channel, activations int8 per token"
    assert parse_scheme("int4-asym-tensor-mse").described == (
        "uint4 asymmetric, per tensor, clipped for the least squared error"
    )


@pytest.mark.parametrize(
    ("name", "meant"), [("int4-g63", "int4-g64"), ("int8-mse-mse", "int8"), ("itn8", "int8")]
)
def test_an_unknown_name_says_which_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*Did you mean '{meant}"):
        parse_scheme(name)


def test_groups_that_do_not_fill_a_row() -> None:
    assert SCHEMES["int4-g64"].group_for(576) == 64 and SCHEMES["int4"].group_for(576) == 576
    with pytest.raises(
        ConfigError, match=r"q_proj has 576 columns.*128.*Choose -g32 or -g64 or no"
    ):
        SCHEMES["int4-g128"].group_for(576, "q_proj")


def test_bits_per_weight_count_scales_and_zero_points() -> None:
    assert SCHEMES["int4-g32"].bits_per_weight(8, 64) == 4 + 16 / 32
    assert SCHEMES["int4-asym-g32"].bits_per_weight(8, 64) == 4 + 20 / 32
    assert SCHEMES["int8"].bits_per_weight(8, 64) == 8 + 16 / 64
