"""The compiled encoder gives the library's ids, whatever the text and whatever the merges."""

import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models

from penjing.core.errors import TokenizerError
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.config import SplitName, TokenizerConfig
from penjing.tokenizer.fast.bpe import SHORT
from penjing.tokenizer.fast.encoder import BulkEncoder
from penjing.tokenizer.fast.merges import can_encode
from penjing.tokenizer.splits import SPLITS, encoding_splitter
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

_CHINESE = (
    "今天天气不错，我们去公园散步。人工智能正在改变世界，人工智能也会犯错！小处不可随便，不可随处小便。"
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。天地玄黄，宇宙洪荒；日月盈昃，辰宿列张。"
)


def library() -> list[str]:
    """Some of Python's own sources: English and code."""
    folder = Path(sysconfig.get_path("stdlib"))
    names = ("argparse.py", "typing.py", "datetime.py")
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def chinese(n: int) -> str:
    """Clauses of known characters in ever new orders."""
    draw = random.Random(0)
    clauses = ("".join(draw.choices(_CHINESE, k=draw.randrange(1, 14))) for _ in range(n))
    return "，".join(clauses)


@pytest.fixture(scope="module", params=list(SPLITS))
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    config = TokenizerConfig(vocab_size=2000, split=request.param)
    return train_tokenizer([*library()[:1], chinese(2000)], config)


def bulk_of(tokenizer: Tokenizer, **changes: Any) -> BulkEncoder:
    assert tokenizer.split is not None
    model = json.loads(tokenizer.text)["model"] | changes
    return BulkEncoder(model, tokenizer.split)  # type: ignore[arg-type]


def ids_of(encoder: BulkEncoder, texts: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids, _ in encoder.encode((text, True) for text in texts)]


def test_whole_texts(trained: Tokenizer, tricky_texts: list[str]) -> None:
    texts = [*library(), chinese(5000), *tricky_texts, "", "x"] * 2
    assert ids_of(bulk_of(trained), texts) == trained.encode_batch(texts)


@pytest.fixture(scope="module")
def both() -> tuple[Tokenizer, BulkEncoder]:
    tokenizer = train_tokenizer([*library()[:2], chinese(3000)], TokenizerConfig(vocab_size=3000))
    return tokenizer, bulk_of(tokenizer)


@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.text(st.sampled_from(_CHINESE + "theand '\n1"), max_size=400))
def test_any_text(both: tuple[Tokenizer, BulkEncoder], text: str) -> None:
    tokenizer, encoder = both
    assert ids_of(encoder, [text]) == [tokenizer.encode(text)]


@pytest.mark.parametrize("n_bytes", [31, 32, 33, SHORT - 1, SHORT, SHORT + 1, 3 * SHORT, 20_000])
@pytest.mark.parametrize("part", ["a", "ab", "the", "人", "人工智能", "é"])
def test_long_words(both: tuple[Tokenizer, BulkEncoder], n_bytes: int, part: str) -> None:
    tokenizer, encoder = both
    word = (part * n_bytes).encode()[:n_bytes].decode(errors="ignore")
    assert ids_of(encoder, [word]) == [tokenizer.encode(word)]


def test_a_megabyte_without_a_space(both: tuple[Tokenizer, BulkEncoder]) -> None:
    tokenizer, encoder = both
    draw = random.Random(1)
    word = "".join(draw.choices("abcdefgh", k=1_000_000))
    assert ids_of(encoder, [word]) == [tokenizer.encode(word)]


@st.composite
def _vocabularies(draw: st.DrawFn) -> tuple[models.BPE, list[str]]:
    """Merges that no training gives: in any order, several to one token, tokens beside them."""
    alphabet = draw(st.sampled_from(["ab", "abc", "人工", "人亸", "a人"]))
    tokens = list(dict.fromkeys(BYTE_TO_CHAR[byte] for byte in alphabet.encode()))
    merges: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(1, 14))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if len(left + right) < 12 and (left, right) not in merges:
            merges.append((left, right))
            tokens = list(dict.fromkeys([*tokens, left + right]))
    merges = draw(st.permutations(merges)) if draw(st.booleans()) else merges
    vocab = {token: id for id, token in enumerate(dict.fromkeys([*BYTE_TO_CHAR, *tokens]))}
    texts = draw(st.lists(st.text(st.sampled_from(alphabet), min_size=1, max_size=40), min_size=1))
    model = models.BPE(vocab=vocab, merges=merges, ignore_merges=draw(st.booleans()))
    return model, [*texts, texts[0] * 100]


@settings(max_examples=120, deadline=None)
@given(drawn=_vocabularies(), split=st.sampled_from(list(SPLITS)))
def test_any_merges(drawn: tuple[models.BPE, list[str]], split: SplitName) -> None:
    model, texts = drawn
    backend = Backend(model)
    backend.pre_tokenizer = encoding_splitter(split)
    spec = json.loads(backend.to_str())
    expected = [encoding.ids for encoding in backend.encode_batch_fast(texts)]
    assert can_encode(spec["model"])
    assert ids_of(BulkEncoder(spec["model"], split, threads=1), texts) == expected


def test_tokens_that_are_no_bytes_are_no_words(both: tuple[Tokenizer, BulkEncoder]) -> None:
    """A vocabulary may hold tokens outside the alphabet of bytes: no text turns into them."""
    spec = json.loads(both[0].text)
    spec["model"]["ignore_merges"] = True
    spec["model"]["vocab"] |= {
        token: 90_000 + n for n, token in enumerate(["人工智能", " to", "Ġxyz"])
    }
    texts = ["人工智能", "go to xyz"]
    expected = [e.ids for e in Backend.from_str(json.dumps(spec)).encode_batch_fast(texts)]
    encoder = BulkEncoder(spec["model"], "qwen2", threads=1)
    assert ids_of(encoder, texts) == expected
    assert 90_002 in expected[1]


def test_merges_written_as_strings(both: tuple[Tokenizer, BulkEncoder]) -> None:
    tokenizer, encoder = both
    merges = [" ".join(merge) for merge in json.loads(tokenizer.text)["model"]["merges"]]
    texts = library()[:1]
    assert ids_of(bulk_of(tokenizer, merges=merges), texts) == ids_of(encoder, texts)


@pytest.fixture(scope="module")
def composing(both: tuple[Tokenizer, BulkEncoder]) -> tuple[Tokenizer, BulkEncoder]:
    spec = json.loads(both[0].text) | {"normalizer": {"type": "NFC"}}
    return Tokenizer(json.dumps(spec)), BulkEncoder(spec["model"], "qwen2", compose=True)


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.text(st.sampled_from("eé\u0301\u212b中か\u3099\u1100\u1161 ")))
def test_text_that_is_composed_before(composing: tuple[Tokenizer, BulkEncoder], text: str) -> None:
    tokenizer, encoder = composing
    assert ids_of(encoder, [text, "plain"]) == tokenizer.encode_batch([text, "plain"])


def test_threads_and_pieces_keep_the_order(both: tuple[Tokenizer, BulkEncoder]) -> None:
    tokenizer, _ = both
    model = json.loads(tokenizer.text)["model"]
    pieces = [(line, number % 3 == 0) for number, line in enumerate(library()[0].splitlines())] * 50
    alone = list(BulkEncoder(model, "qwen2", threads=1).encode(pieces))
    together = list(BulkEncoder(model, "qwen2", threads=4).encode(pieces))
    assert [end for _, end in together] == [end for _, end in pieces]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(alone, together, strict=True))


def test_leaving_early(both: tuple[Tokenizer, BulkEncoder]) -> None:
    """Whoever stops listening stops the work, and no more is read than is soon to be encoded."""
    model = json.loads(both[0].text)["model"]
    encoder = BulkEncoder(model, "qwen2", threads=2)
    text, read = "words and words " * 1000, 0

    def endless() -> Iterator[tuple[str, bool]]:
        nonlocal read
        while True:
            read += len(text)
            yield text, True

    answers = encoder.encode(endless())
    assert len(next(answers)[0]) > 1000
    answers.close()
    assert read < 8 * 2**19


def test_a_lone_surrogate(both: tuple[Tokenizer, BulkEncoder]) -> None:
    _, encoder = both
    with pytest.raises(TokenizerError, match="at character 3"):
        ids_of(encoder, ["fine", "no \ud800"])


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "Unigram"},
        {"vocab": {"a": 0}},
        {"dropout": 0.1},
        {"end_of_word_suffix": "</w>"},
        {"continuing_subword_prefix": "##"},
        {"vocab": {char: (1 << 21) + n for n, char in enumerate(BYTE_TO_CHAR)}},
    ],
)
def test_models_that_are_left_to_the_library(changes: dict[str, Any]) -> None:
    vocab = {char: id for id, char in enumerate(BYTE_TO_CHAR)}
    model = {"type": "BPE", "vocab": vocab, "merges": []}
    assert can_encode(model)
    assert not can_encode(model | changes)
