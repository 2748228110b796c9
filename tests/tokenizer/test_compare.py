"""Figures of tokenizers over texts, against sums that can be done by hand."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers

from penjing.core.errors import TokenizerError
from penjing.tokenizer import compare as module
from penjing.tokenizer.compare import common_boundary, compare_tokenizers, count_tokens
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.figures import CutFigures
from penjing.tokenizer.splits import ANYWHERE, LINE_END, WORD_END
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def byte() -> Tokenizer:
    return train_tokenizer(["x"], TokenizerConfig(kind="byte"))


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    """As BERT's: small letters, `##` within a word, and [UNK]."""
    words = ["[UNK]", "un", "##happi", "##ness", "the", "今", ",", "e"]
    model = models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    backend = Backend(model)
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return Tokenizer(backend.to_str())


def figures(tokenizer: Tokenizer, *texts: str) -> CutFigures:
    return compare_tokenizers({"it": tokenizer}, texts)["it"]


def test_the_text_itself(byte: Tokenizer) -> None:
    text = figures(byte, "Don't say 今天 in 2024!", "不错。\n\n e\u0301 - a1b2今 c").text
    assert (text.documents, text.characters, text.bytes) == (2, 39, 39 + 2 * 6 + 1)
    assert text.words == 6  # Don't say in 2024! é c
    assert text.in_words == 5 + 3 + 2 + 5 + 2 + 1
    assert text.unspaced == 2 + 3 + 5  # 今天 不错。 a1b2今
    expected = {"Latin": 14, "spaces": 10, "digits": 6, "Han": 5, "punctuation": 4}
    assert text.scripts == expected
    assert list(text.scripts.values()) == sorted(text.scripts.values(), reverse=True)


def test_bytes_are_fragments_where_a_character_has_several(byte: Tokenizer) -> None:
    cut = figures(byte, "ab 今𠮷")
    assert (cut.tokens, cut.fragments, cut.unknown) == (3 + 3 + 4, 7, 0)
    assert cut.fertility == {"Latin": 1, "Han": 3.5, "spaces": 1}
    assert cut.characters_per_token == pytest.approx(5 / 10)
    assert cut.bytes_per_token == 1
    assert cut.fragment_share == 0.7


def test_wordpiece_by_its_offsets(wordpiece: Tokenizer) -> None:
    cut = figures(wordpiece, "Unhappiness, THE 今 𠮷 é ")
    assert cut.tokens == 3 + 1 + 1 + 1 + 1 + 1
    assert (cut.unknown, cut.fragments) == (1, 0)
    assert cut.scripts == {"Latin": 5, "spaces": 0, "Han": 2, "punctuation": 1}
    assert cut.fertility["Latin"] == pytest.approx(5 / 15)


def test_a_space_goes_with_the_word_after_it() -> None:
    bpe = train_tokenizer([" the the the" * 9], TokenizerConfig(vocab_size=260))
    assert len(bpe.encode(" the the")) == 2
    cut = figures(bpe, " the the  \n")
    assert cut.scripts["Latin"] == pytest.approx(2)
    assert cut.scripts["spaces"] == pytest.approx(cut.tokens - 2)


def test_tokens_per_word(byte: Tokenizer) -> None:
    assert figures(byte, "to be or not").tokens_per_word == 12 / 4
    mixed = figures(byte, "to be or not 今")  # the space before it is no word's, but no Han's
    assert mixed.tokens_per_word == 13 / 4
    assert figures(byte, "今天天气不错 ok").tokens_per_word is None
    assert figures(byte, " - ").tokens_per_word is None


def test_no_token_at_all(wordpiece: Tokenizer) -> None:
    cut = figures(wordpiece, "\u200b")
    assert cut.tokens == 0
    assert math.isnan(cut.characters_per_token) and math.isnan(cut.fragment_share)
    assert json.loads(json.dumps(cut.to_json()))["characters_per_token"] is None


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_the_scripts_share_all_tokens(lossless: Tokenizer, texts: list[str]) -> None:
    cut = figures(lossless, *texts)
    assert cut.tokens == sum(len(lossless.encode(text)) for text in texts)
    assert cut.text.characters == sum(map(len, texts)) == sum(cut.text.scripts.values())
    assert sum(cut.scripts.values()) == pytest.approx(cut.tokens, abs=1e-6)
    assert 0 <= cut.unspaced <= cut.tokens + 1e-6


def test_a_long_text_in_parts_is_the_same(
    byte: Tokenizer, wordpiece: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "unhappiness, the 今 end.\n/ and so\n\n on 今天。\n" * 40
    both = {"byte": byte, "wordpiece": wordpiece}
    whole = compare_tokenizers(both, [text, "the"])
    monkeypatch.setattr(module, "_BATCH", 60)
    parts = compare_tokenizers(both, [text, "the"])
    for name in both:
        assert parts[name].text == whole[name].text
        assert parts[name].tokens == whole[name].tokens
        assert parts[name].scripts == pytest.approx(whole[name].scripts)
        assert parts[name].unspaced == pytest.approx(whole[name].unspaced)


def test_where_a_text_may_be_cut_for_all(byte: Tokenizer, wordpiece: Tokenizer) -> None:
    bpe = train_tokenizer(["the the"], TokenizerConfig(vocab_size=258))
    assert common_boundary([byte]) is ANYWHERE
    assert common_boundary([byte, bpe]) is WORD_END
    assert common_boundary([byte, wordpiece]) is wordpiece.boundary
    assert common_boundary([bpe, byte, wordpiece]) is LINE_END
    unknown = Backend(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    assert common_boundary([byte, Tokenizer(unknown.to_str())]) is None


def test_tokens_are_counted_as_they_are_compared(byte: Tokenizer, wordpiece: Tokenizer) -> None:
    texts = ["unhappiness, the 今", "the\n\nthe"]
    both = {"byte": byte, "wordpiece": wordpiece}
    expected = [cut.tokens for cut in compare_tokenizers(both, texts).values()]
    assert count_tokens(both.values(), texts) == [26, *expected]


def test_an_endless_line_in_parts_has_as_many_tokens(
    byte: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bpe = train_tokenizer(["今天天气不错，" * 9], TokenizerConfig(vocab_size=260))
    text = "今天天气不错，人工智能。" * 200
    whole = compare_tokenizers({"bpe": bpe, "byte": byte}, [text])
    monkeypatch.setattr(module, "_BATCH", 30)
    monkeypatch.setattr(module, "_LINE", 100)
    parts = compare_tokenizers({"bpe": bpe, "byte": byte}, [text])
    assert {name: cut.tokens for name, cut in parts.items()} == {
        name: cut.tokens for name, cut in whole.items()
    }
    assert parts["bpe"].text.characters == len(text)


def test_what_is_not_unicode_is_refused(byte: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"lone surrogate, U\+D800, at character 1"):
        compare_tokenizers({"byte": byte}, ["a\ud800"])
