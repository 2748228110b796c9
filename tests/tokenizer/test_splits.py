"""The split rules are the models' own, and a long text may be cut where we say."""

import inspect
import json

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from penjing.formats.gguf.pre_tokenizers import PRE_TOKENIZERS, name_of
from penjing.tokenizer.splits import (
    ANYWHERE,
    SPLITS,
    WORD_END,
    cut,
    encoding_splitter,
    split_name,
    training_splitter,
)

_EDGY = st.text(
    st.sampled_from("ab'sLl1234 \n\r\t\u3000\xa0\x85\u2028.,!\"，。你好人ſ\u0301é👍\x00\x1c")
)


def words(splitter: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)]


def matches(pattern: str, text: str) -> list[str]:
    """The matches, and what lies between them."""
    return [piece for piece in regex.split(f"({pattern})", text) if piece]


def test_patterns_are_those_of_the_models() -> None:
    from transformers.convert_slow_tokenizer import TikTokenConverter
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    llama3 = inspect.signature(TikTokenConverter.__init__).parameters["pattern"].default
    assert SPLITS["qwen2"].pattern == PRETOKENIZE_REGEX
    assert SPLITS["llama3"].pattern == llama3


@pytest.mark.parametrize("name", SPLITS)
def test_llama_cpp_knows_the_rule(name: str) -> None:
    """By its name, and by the one that is written for a vocabulary with this rule."""
    rule = SPLITS[name]
    saved = json.loads(encoding_splitter(name).__getstate__())
    written = name_of(saved, ignore_merges=False)
    assert written is not None
    assert PRE_TOKENIZERS[rule.llama_cpp].patterns == PRE_TOKENIZERS[written].patterns
    assert PRE_TOKENIZERS[written].patterns == rule.patterns
    assert split_name(saved) == name


@pytest.mark.parametrize("name", SPLITS)
def test_digits_in_one_word(name: str) -> None:
    most = SPLITS[name].digits
    assert max(map(len, words(encoding_splitter(name), "12345678"))) == (most or 8)


def test_a_han_rule_that_other_runtimes_have() -> None:
    text = "（今天天气，不错）ok"
    assert words(encoding_splitter("deepseek3"), text) == [
        "（",
        "今天天气",
        "，",
        "不错",
        "）",
        "ok",
    ]
    assert words(encoding_splitter("qwen2"), text) == ["（今天天气", "，不错", "）ok"]


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=300)
@given(text=_EDGY)
def test_words_are_the_patterns_matches(name: str, text: str) -> None:
    """For gpt2 this compares our pattern with the one built into the library."""
    expected = [text] if text else []
    for pattern in SPLITS[name].patterns:
        expected = [word for piece in expected for word in matches(pattern, piece)]
    assert "".join(expected) == text
    assert words(encoding_splitter(name), text) == expected


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=300)
@given(text=_EDGY)
def test_cutting_at_word_ends_keeps_the_words(name: str, text: str) -> None:
    splitter = encoding_splitter(name)
    pieces = list(cut(text, 1, WORD_END))
    assert [word for piece in pieces for word in words(splitter, piece)] == words(splitter, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab cd, ef", ["ab", " cd", ", ef"]),
        ("it's {'a1':", ["it's", " {'a", "1':"]),
        ("x.\n/y\nz", ["x", ".\n/y", "\n", "z"]),
        ("明月，低頭。", ["明月", "，低頭", "。"]),
        ("1,\n2,\n\n3", ["1,\n", "2,\n\n3"]),
        ("aé á 1 2", ["aé á 1 2"]),
    ],
)
def test_a_line_is_cut_behind_letters(text: str, expected: list[str]) -> None:
    assert list(cut(text, 1, WORD_END)) == expected


@given(text=st.text(), size=st.integers(1, 9))
def test_cutting_keeps_the_text(text: str, size: int) -> None:
    pieces = list(cut(text, size, ANYWHERE))
    assert "".join(pieces) == text
    assert all(len(piece) == size for piece in pieces[:-1])


@pytest.mark.parametrize("name", SPLITS)
def test_training_bounds_long_words(name: str) -> None:
    """A text without spaces must not become one word: the trainer's work would be quadratic."""
    latin, han = "word" * 500, "人工智能" * 500
    assert max(map(len, words(training_splitter(name, "run"), latin))) == 64
    assert max(map(len, words(training_splitter(name, "char"), latin))) == 64
    assert max(map(len, words(training_splitter(name, "run"), han))) == 12
    assert words(training_splitter(name, "char"), han) == list(han)
    assert words(training_splitter(name, "run"), "，天气") == words(
        encoding_splitter(name), "，天气"
    )
