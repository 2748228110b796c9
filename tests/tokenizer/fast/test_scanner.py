"""Words end where the rules' regular expressions say, as the library cuts them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.tokenizer.fast.cutting import word_ends
from tokenizers import Regex, pre_tokenizers

from penjing.tokenizer.fast.scanner import RULES
from penjing.tokenizer.splits import CL100K, SPLITS, encoding_splitter

# Letters with and without case, marks, numbers, spaces and signs of all widths in UTF-8.
_EDGY = st.text(
    st.sampled_from(
        "ab'sSlLrRvVeEtTmMdD1234 \n\r\t\u3000\xa0\x85\u2028.,!\"/"
        "，。・你好人ア々〇ſ\u0301é👍\x00\x1c½٣ǅʰ\U00020bb7\U000e0101\ue000\u200d\ufe0f\u3097\u3099\u0378"
    )
)


def oracle(name: str, text: str) -> list[int]:
    """Where words end, in characters."""
    if name in SPLITS:
        splitter = encoding_splitter(name)
    else:
        splitter = pre_tokenizers.Split(Regex(CL100K), behavior="isolated")
    return [end for _, (_, end) in splitter.pre_tokenize_str(text)]


def ours(name: str, text: str) -> list[int]:
    raw = text.encode("utf-8")
    begins = (np.frombuffer(raw, np.uint8) & 0xC0) != 0x80
    characters: list[int] = np.concatenate([[0], np.cumsum(begins)])[word_ends(raw, name)].tolist()
    return characters


def test_all_rules_have_a_scanner() -> None:
    assert set(RULES) == {*SPLITS, "cl100k"}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=400, deadline=None)
@given(text=_EDGY)
@example(text="")
@example(text="a\u0301A 'Re \u0301A's//\n/")
@example(text="\x00\x01a\x00 1\x00")
def test_edges_of_words(name: str, text: str) -> None:
    assert ours(name, text) == oracle(name, text)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_any_text(name: str, text: str) -> None:
    assert ours(name, text) == oracle(name, text)


@pytest.mark.parametrize("name", RULES)
def test_every_character(name: str) -> None:
    """Between others: each is of the class that the library's regular expressions see in it."""
    planes = ((0, 0xD800), (0xE000, 0x34000), (0xE0000, 0xE1000), (0x10FF00, 0x110000))
    text = "".join(f"a{chr(code)}" for plane in planes for code in range(*plane))
    assert ours(name, text) == oracle(name, text)


@pytest.mark.parametrize("form", ["'{}a", "{}'{}", " {}1", "!{}\n"])
def test_every_character_in_a_place_that_matters(form: str) -> None:
    text = "".join(form.replace("{}", chr(code)) for code in range(0x3400))
    for name in RULES:
        assert ours(name, text) == oracle(name, text)


def test_many_words() -> None:
    """More than are found in one call."""
    text = "one two  three,\n" * 20_000
    assert ours("qwen2", text) == oracle("qwen2", text)


def test_one_word_of_megabytes() -> None:
    assert word_ends("天".encode() * 1_000_000, "qwen2").tolist() == [3_000_000]
