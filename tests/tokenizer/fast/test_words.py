"""Words are counted as the library's training splitter cuts them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.core.errors import TokenizerError
from penjing.tokenizer.alphabet import from_alphabet
from penjing.tokenizer.config import HanRule, SplitName
from penjing.tokenizer.fast.words import Words, count_words
from penjing.tokenizer.splits import SPLITS, training_splitter

_HAN: list[HanRule] = ["run", "char"]


def oracle(texts: list[str], split: SplitName, han: HanRule) -> list[tuple[bytes, int]]:
    splitter = training_splitter(split, han)
    words = (word for text in texts for word, _ in splitter.pre_tokenize_str(text))
    return list(Counter(map(from_alphabet, words)).items())


def listed(words: Words) -> list[tuple[bytes, int]]:
    return [(words[i], int(words.counts[i])) for i in range(len(words))]


@pytest.mark.parametrize("han", _HAN)
@pytest.mark.parametrize("split", SPLITS)
def test_words_in_order_of_first_occurrence(
    split: SplitName, han: HanRule, corpus: list[str], tricky_texts: list[str]
) -> None:
    texts = [*corpus, *tricky_texts, *corpus]
    assert listed(count_words(texts, split, han)) == oracle(texts, split, han)


@pytest.mark.parametrize("han", _HAN)
@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(st.sampled_from("ab1 \n.，人工々〇\U00020bb7é"), max_size=300)))
def test_long_words_are_cut_as_in_training(han: HanRule, texts: list[str]) -> None:
    assert listed(count_words(texts, "qwen2", han)) == oracle(texts, "qwen2", han)


@pytest.mark.parametrize("han", _HAN)
def test_lengths_around_the_limits(han: HanRule) -> None:
    texts = [
        f"{'é' * n}{'人' * m}b" for n in (0, 1, 63, 64, 65, 130) for m in (0, 1, 11, 12, 13, 30)
    ]
    assert listed(count_words(texts, "gpt2", han)) == oracle(texts, "gpt2", han)


def test_the_table_grows() -> None:
    letters = "abcdefghijklmnop"
    texts = [" ".join(letters[i % 16] * (i // 16 % 50 + 1) + str(i) for i in range(60_000))]
    words = count_words(texts, "gpt2", "run")
    assert len(words) > 60_000
    assert listed(words) == oracle(texts, "gpt2", "run")


def test_words_do_not_span_texts() -> None:
    assert listed(count_words(["ab", "ab", "", "cd"], "qwen2", "run")) == [(b"ab", 2), (b"cd", 1)]


def test_no_text() -> None:
    assert len(count_words([], "qwen2", "run")) == 0


def test_a_lone_surrogate() -> None:
    with pytest.raises(TokenizerError, match="U\\+D800"):
        count_words(["fine", "not \ud800"], "qwen2", "run")
