"""WordPiece learns what `tokenizers` learns, and reads and writes as BERT does."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, trainers

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.wordpiece import LONGEST_WORD, PREFIX, UNKNOWN, count_words
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


def train(texts: list[str], size: int, **settings: object) -> Tokenizer:
    config = TokenizerConfig(kind="wordpiece", vocab_size=size, **settings)
    return train_tokenizer(texts, config)


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token_of(id) for id in tokenizer.encode(text)]


def test_the_pieces_are_those_of_the_library() -> None:
    """Its pairs of equal counts come in any order, so there must be none among the first pieces."""
    draw = random.Random(0)
    words = {"".join(draw.choices("aabcde", k=draw.randint(2, 7))) for _ in range(200)}
    counts = {word: draw.randint(20, 999) for word in sorted(words)}
    texts = [" ".join([word] * count) for word, count in counts.items()]
    n_pieces = 40

    letters = {char for word in words for char in word}
    within = {char for word in words for char in word[1:]}
    backend = Backend(models.WordPiece(unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=len(letters) + len(within) + n_pieces, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    theirs = {token for token in backend.get_vocab() if len(token.removeprefix(PREFIX)) > 1}

    beginning = {word[0] for word in words}
    ours = train(texts, len(beginning) + len(within) + n_pieces + 2)
    vocab = map(ours.token_of, range(ours.vocab_size - 2))
    assert {token for token in vocab if len(token.removeprefix(PREFIX)) > 1} == theirs
    assert len(theirs) == n_pieces


def test_a_word_is_cut_from_its_longest_pieces() -> None:
    texts = ["un " * 50 + "happy " * 40 + "unhappy " * 3 + "sunny " * 30]
    tokenizer = train(texts, 20)
    vocabulary = {tokenizer.token_of(id) for id in range(tokenizer.vocab_size)}
    pieces = tokens(tokenizer, "unhappy sunny happun")
    assert set(pieces) <= vocabulary and UNKNOWN not in pieces
    for word in ("unhappy", "sunny", "happun"):
        rest, expected = word, []
        while rest:
            mark = PREFIX if expected else ""
            end = next(n for n in range(len(rest), 0, -1) if mark + rest[:n] in vocabulary)
            expected.append(mark + rest[:end])
            rest = rest[end:]
        assert tokens(tokenizer, word) == expected


def test_what_cannot_be_written_is_unknown() -> None:
    tokenizer = train(["abc ab a b c " * 5], 9)
    assert tokens(tokenizer, "abc xyz") == ["abc", UNKNOWN]
    assert tokens(tokenizer, "a" + "b" * 100) == [UNKNOWN]  # BERT's longest word has 100 characters
    assert tokenizer.unknown_id == tokenizer.special_tokens[UNKNOWN]


def test_decoded_chinese_has_no_spaces(corpus: list[str]) -> None:
    tokenizer = train(corpus, 190)
    for text, expected in {
        "今天天气不错，我们去公园散步。": "今天天气不错，我们去公园散步。",
        "人工智能 and unhappiness.": "人工智能and unhappiness.",
        "Mixed 中英文 text.": "Mixed中英文text.",
    }.items():
        assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_lower_case() -> None:
    texts = ["École école ÉCOLE " * 9]
    cased, uncased = train(texts, 14), train(texts, 9, lowercase=True)
    assert len({tuple(cased.encode(word)) for word in ("École", "école", "ÉCOLE")}) == 3
    assert cased.decode(cased.encode("ÉCOLE")) == "ÉCOLE"
    assert uncased.encode("ÉCOLE") == uncased.encode("ecole")
    assert uncased.decode(uncased.encode("ÉCOLE")) == "ecole"


def test_rare_characters_can_be_left_out() -> None:
    texts = ["春眠不觉晓" * 50 + "𠮷"]
    assert UNKNOWN not in tokens(train(texts, 8), "𠮷")
    assert tokens(train(texts, 7, coverage=0.99), "春𠮷") == ["春", UNKNOWN]


def test_a_vocabulary_smaller_than_the_alphabet() -> None:
    texts = ["春眠不觉晓" * 50 + "处处" * 50 + "𠮷"]
    with pytest.raises(TokenizerError, match=r"smaller than its alphabet") as caught:
        train(texts, 8)
    assert "vocab_size 9 or more, or coverage 0.9971" in str(caught.value)
    assert train(texts, 8, coverage=0.9971).vocab_size == 8


@settings(max_examples=200)
@given(
    text=st.text()
    | st.text(st.sampled_from("  aÉe\u0301中.\n\x00\x1c\x85\u2028\u200d\xa0Σİ\ufffd"))
)
@pytest.mark.parametrize("lowercase", [False, True])
def test_words_are_those_that_bert_reads(text: str, lowercase: bool) -> None:
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    found = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer.normalize_str(text))
    expected = Counter(word for word, _ in found if len(word) <= LONGEST_WORD)
    assert count_words([text], normalizer) == expected


@pytest.mark.parametrize("text", [" \n\t\x00 ", "ab" * 51])
def test_a_text_without_words(text: str) -> None:
    with pytest.raises(TokenizerError, match="holds no word of at most 100 characters"):
        train([text], 100)


def test_no_text() -> None:
    with pytest.raises(TokenizerError, match="no text"):
        train(["", ""], 100)
