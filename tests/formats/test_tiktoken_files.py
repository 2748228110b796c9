"""Tokenizers from .tiktoken files: tiktoken itself is the judge of every id."""

import base64
import json

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import TokenizerError
from penjing.formats.gguf.pre_tokenizers import PRE_TOKENIZERS, to_json
from penjing.formats.tiktoken_files import read_ranks, tiktoken_to_json
from penjing.tokenizer.alphabet import BYTE_TO_CHAR, from_alphabet
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

TEXT = "the cat sat on the mat, that cat. 今天天气不错，今天也不错。aaa aaaa aaaaa\n" * 3
END = {"<|endoftext|>": 600}
RULE = PRE_TOKENIZERS["gpt-2"]


def file_of(tokens: list[bytes]) -> bytes:
    lines = (base64.b64encode(token) + b" %d" % rank for rank, token in enumerate(tokens))
    return b"\n".join(lines) + b"\n"


@pytest.fixture(scope="module")
def tokens() -> list[bytes]:
    """Those of a trained vocabulary."""
    trained = train_tokenizer([TEXT], TokenizerConfig(vocab_size=290, split="gpt2"))
    vocab = json.loads(trained.text)["model"]["vocab"]
    return [from_alphabet(token) for token in sorted(vocab, key=vocab.get)]


@pytest.fixture(scope="module")
def ours(tokens: list[bytes]) -> Tokenizer:
    text = tiktoken_to_json(file_of(tokens), to_json(RULE), END)
    return Tokenizer(text, {"eos_token": "<|endoftext|>"})


@pytest.fixture(scope="module")
def theirs(tokens: list[bytes]) -> tiktoken.Encoding:
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return tiktoken.Encoding(
        "test", pat_str=RULE.patterns[0], mergeable_ranks=ranks, special_tokens=END
    )


words = st.sampled_from(
    ["the", "that", "cat", "今天", "不错", "a", "aa", " ", "\n", ",", "é", "𠮷"]
)


@given(st.one_of(st.text(), st.lists(words).map("".join)))
def test_the_ids_are_those_of_tiktoken(
    ours: Tokenizer, theirs: tiktoken.Encoding, text: str
) -> None:
    assert ours.encode(text) == theirs.encode_ordinary(text)
    assert ours.decode(ours.encode(text)) == text


def test_special_tokens_keep_their_ids_above_a_gap(ours: Tokenizer) -> None:
    assert ours.eos_id == 600 and ours.vocab_size == 601
    assert ours.encode("a<|endoftext|>", allow_special=True)[-1] == 600
    assert 600 not in ours.encode("a<|endoftext|>")


def test_ranks_in_any_order(tokens: list[bytes]) -> None:
    shuffled = b"\r\n".join(reversed(file_of(tokens).splitlines()))
    assert list(read_ranks(shuffled, "x")) == tokens


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [*lines[:4], b"####  4", *lines[5:]], "line 5: not a token in Base64"),
        (lambda lines: [*lines[:4], b"JQ==", *lines[5:]], "line 5: not a token in Base64"),
        (lambda lines: lines[:-2] + lines[-1:], "the ranks are not 0 to"),
        (lambda lines: lines[:200], "56 of the 256 bytes have no token, such as 0x"),
        (lambda lines: [*lines, base64.b64encode(b"never") + b" %d" % len(lines)], "1 tokens do"),
    ],
)
def test_a_damaged_file(tokens: list[bytes], change, said: str) -> None:
    raw = b"\n".join(change(file_of(tokens).splitlines()))
    with pytest.raises(TokenizerError, match=f"my.tiktoken.*{said}"):
        tiktoken_to_json(raw, to_json(RULE), END, source="my.tiktoken")


def test_bytes_are_written_in_the_alphabet(ours: Tokenizer) -> None:
    vocab = json.loads(ours.text)["model"]["vocab"]
    assert set(BYTE_TO_CHAR) <= vocab.keys()
