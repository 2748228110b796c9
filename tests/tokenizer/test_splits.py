"""The split rules are the models' own, and a long text may be cut where we say."""

import inspect

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from penjing.tokenizer.splits import (
    ANYWHERE,
    SPLITS,
    WORD_END,
    cut,
    encoding_splitter,
    training_splitter,
)

_EDGY = st.text(
    st.sampled_from("ab'sLl1234 \n\r\t\u3000\xa0\x85\u2028.,!\"，。你好人ſ\u0301é👍\x00\x1c")
)


def words(splitter: pre_tokenizers.PreTokenizer, text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)]


def test_patterns_are_those_of_the_models() -> None:
    from transformers.convert_slow_tokenizer import TikTokenConverter
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    llama3 = inspect.signature(TikTokenConverter.__init__).parameters["pattern"].default
    assert SPLITS["qwen2"].pattern == PRETOKENIZE_REGEX
    assert SPLITS["llama3"].pattern == llama3


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=300)
@given(text=_EDGY)
def test_words_are_the_patterns_matches(name: str, text: str) -> None:
    """For gpt2 this compares our pattern with the one built into the library."""
    expected = regex.findall(SPLITS[name].pattern, text)
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
        ("it's {'a1':", ["it", "'s", " {'a", "1':"]),
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
