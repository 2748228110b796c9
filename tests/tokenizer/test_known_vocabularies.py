"""What is said of a tokenizer.json holds for the well-known ones too."""

from unittest.mock import patch

import pytest

from penjing.formats.package_tokenizers import open_tokenizer
from penjing.tokenizer import batching
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.tokenizer import Tokenizer

# The name, its kind, and the split rule that it was made with.
KNOWN = [
    ("gpt2", "bpe", "gpt2"),
    ("qwen", "bpe", "qwen2"),
    ("o200k", "bpe", "gpt4o"),
    ("deepseek", "bpe", "deepseek3"),
    ("bert", "wordpiece", None),
]


@pytest.fixture(scope="module", params=KNOWN, ids=lambda known: known[0])
def known(request: pytest.FixtureRequest) -> Tokenizer:
    name, kind, split = request.param
    tokenizer = open_tokenizer(name)
    assert (tokenizer.kind, tokenizer.split) == (kind, split)
    return tokenizer


@pytest.mark.network
def test_long_texts_and_streams(
    known: Tokenizer, tricky_texts: list[str], corpus: list[str]
) -> None:
    assert known.boundary is not None
    for text in [*tricky_texts, *corpus]:
        ids = known.encode(text)
        with patch.object(batching, "PIECE", 3):
            assert known.encode(text) == ids
        decoder = StreamDecoder(known)
        said = "".join([*map(decoder.push, ids), decoder.flush()])
        assert said == known.decode(ids)
        if known.kind == "bpe" and "\u0301" not in text:  # Qwen's file composes it with its letter
            assert said == text
