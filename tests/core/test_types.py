"""Sampling settings out of range are refused by name."""

import re
from typing import Any

import pytest

from penjing.core.config import from_dict
from penjing.core.errors import ConfigError, GenerationError
from penjing.core.table import Table
from penjing.core.types import SamplingParams, Structure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "hot"),
        ("temperature", 10**400),  # a float cannot hold it
        ("presence_penalty", 10**400),
        ("logit_bias", {1: 10**400}),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_k", True),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", float("nan")),
        ("min_p", 1.0),
        ("typical_p", 0.0),
        ("typical_p", float("nan")),
        ("repetition_penalty", 0.0),
        ("penalty_window", -1),
        ("dry_multiplier", -0.1),
        ("dry_base", 0.99),
        ("dry_base", float("inf")),
        ("dry_allowed_length", 0),
        ("dry_window", -1),
        ("dry_sequence_breakers", "\n"),
        ("dry_sequence_breakers", ("",)),
        ("xtc_probability", 1.5),
        ("xtc_probability", float("nan")),
        ("xtc_threshold", 0.0),
        ("xtc_threshold", 0.6),
        ("mirostat", 3),
        ("mirostat_tau", 0.0),
        ("mirostat_eta", float("nan")),
        ("logit_bias", {1.5: 1.0}),
        ("logit_bias", {"a": 1.0}),
        ("logit_bias", {1: "much"}),
        ("logit_bias", 3),
        ("logit_bias", [1]),
        ("structure", "[0-9]+"),
        ("max_new_tokens", 0),
        ("logprobs", -1),
        ("logprob_ids", 5),
        ("logprob_ids", (0.5,)),
        ("seed", 2**64),
        ("seed", -(2**63) - 1),
        ("seed", 1.5),
        ("stop", ("",)),
        ("stop", (b"END",)),
        ("stop", "END"),
    ],
)
def test_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(GenerationError, match=f"{name} must be .*, got {re.escape(repr(value))}"):
        SamplingParams(**{name: value})


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
def test_not_finite(name: str) -> None:
    with pytest.raises(GenerationError, match=f"{name} must be a finite number"):
        SamplingParams(**{name: float("nan")})
    with pytest.raises(GenerationError, match=r"logit_bias must be .* finite"):
        SamplingParams(logit_bias={1: float("inf")})


@pytest.mark.parametrize(("stop", "place"), [("\udce4", 0), ("ab\ud83d", 2), ("\udf4e天", 0)])
def test_a_string_that_is_a_piece_of_a_character(stop: str, place: int) -> None:
    said = f"character {place} is a lone surrogate"
    for name in ("stop", "dry_sequence_breakers"):
        with pytest.raises(GenerationError, match=f"In {name}, .*{said}") as caught:
            SamplingParams(**{name: ("END", stop)})
        assert str(caught.value).isprintable()
    with pytest.raises(GenerationError, match=f"The structure .*{said}"):
        Structure("regex", stop)


def test_stop_strings_of_any_whole_characters() -> None:
    odd = ("ｱﾊﾟｰﾄ", "ﾟ", "\u0301", "\u200d", "👩‍🚀", "\x00", "\ufffd")
    assert SamplingParams(stop=odd).stop == odd


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("yaml", "a", "json_schema, json_object, regex, lark, got 'yaml'"),
        ("regex", "", "'regex' needs its text"),
        ("json_object", "{}", "'json_object' needs no text"),
        ("json_schema", {"type": "object"}, "text must be a string"),
    ],
)
def test_a_structure_that_is_none(kind: Any, text: Any, said: str) -> None:
    with pytest.raises(GenerationError, match=re.escape(said)):
        Structure(kind, text)


def test_settings_of_a_file_or_of_python() -> None:
    for structure in ({"kind": "regex", "text": "a"}, Structure("regex", "a")):
        params = from_dict(SamplingParams, {"structure": structure}, where="here")
        assert params.structure == Structure("regex", "a")


def test_the_defaults_are_valid() -> None:
    assert SamplingParams().temperature == 1.0


def test_a_table_says_what_was_meant() -> None:
    table = Table("fruit", {"apple": 1, "pear": 2})
    assert table["pear"] == 2 and list(table) == ["apple", "pear"] and len(table) == 2
    with pytest.raises(ConfigError, match=r"Unknown fruit 'aple'\. Did you mean 'apple'"):
        table["aple"]
