"""What every kind promises, over all of Unicode: `tokenizers` and `transformers` are the judges."""

from pathlib import Path
from unittest.mock import patch

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from penjing.tokenizer import batching
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.tokenizer import Tokenizer

_MARKS = ["<|endoftext|>", "<unk>", "[UNK]", "<0xE4>", "<0x0A>", "▁", "Ġ", "##", "##ing"]
_WORDS = ["unhappiness", "Happiness", "人工智能", "天气", "don't", "we'll", "123", "3.14", "中a文"]
_EMOJI = ["👨‍👩‍👧‍👦", "🇨🇳", "👍🏽", "❤\ufe0f", "\u200d", "\ufe0f"]
_CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
    st.characters(min_codepoint=0x20000, max_codepoint=0x323AF),  # rare Han
    st.characters(categories=["Cc", "Cf", "Co"]),
    st.characters(categories=["Mn", "Mc", "Me"]),
    st.characters(categories=["Zs", "Zl", "Zp", "Nd", "Nl", "No"]),
    st.sampled_from("ab AB\n\r\t.,!?'，。！？「」ーあア한ع글हไעΩß"),
    st.sampled_from([*_MARKS, *_WORDS, *_EMOJI]),
)
TEXT = st.lists(_CHARACTERS, max_size=30).map("".join)


@pytest.fixture(scope="module")
def saved(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("kind")
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def library(saved: Path) -> tokenizers.Tokenizer:
    oracle = tokenizers.Tokenizer.from_file(str(saved / "tokenizer.json"))
    oracle.encode_special_tokens = True
    return oracle


@pytest.fixture(scope="module")
def transformer(saved: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(saved)


@settings(max_examples=100)
@given(text=TEXT)
def test_ids_and_text_are_the_librarys(
    tokenizer: Tokenizer, library: tokenizers.Tokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert ids == library.encode(text).ids
    assert tokenizer.decode(ids) == library.decode(ids)


@settings(max_examples=40)
@given(text=TEXT)
def test_ids_and_text_are_those_of_transformers(
    tokenizer: Tokenizer, transformer: PreTrainedTokenizerBase, text: str
) -> None:
    plain, special = tokenizer.encode(text), tokenizer.encode(text, allow_special=True)
    assert transformer.encode(text, split_special_tokens=True) == plain
    assert transformer.encode(text) == special
    assert transformer.decode(plain, skip_special_tokens=True) == tokenizer.decode(plain)


@settings(max_examples=100)
@given(text=TEXT)
def test_every_text_comes_back(lossless: Tokenizer, text: str) -> None:
    assert lossless.decode(lossless.encode(text)) == text


@settings(max_examples=100)
@given(text=TEXT)
def test_no_text_turns_into_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    special = set(tokenizer.special_tokens.values())
    if tokenizer.kind in ("char", "wordpiece"):  # what they have no token for is unknown
        special.discard(tokenizer.unknown_id or 0)
    assert special.isdisjoint(tokenizer.encode(text))


@given(text=TEXT)
def test_streamed_text_is_the_decoded_one(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    decoder = StreamDecoder(tokenizer)
    assert "".join([*map(decoder.push, ids), decoder.flush()]) == tokenizer.decode(ids)


@settings(max_examples=100)
@given(text=TEXT, size=st.integers(1, 5))
def test_a_long_text_is_encoded_as_if_whole(tokenizer: Tokenizer, text: str, size: int) -> None:
    assert tokenizer.boundary is not None
    whole = tokenizer.encode(text)
    with patch.object(batching, "PIECE", size):
        assert tokenizer.encode(text) == whole
