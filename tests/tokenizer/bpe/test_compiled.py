"""The compiled trainer: the steps of the explained one, and the merges of `tokenizers`."""

import json
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, trainers

from penjing.core.errors import TokenizerError
from penjing.data.corpora import load_corpus
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.bpe import corpus
from penjing.tokenizer.bpe.corpus import compiled, learn_steps, merged, plainly, steps_of
from penjing.tokenizer.bpe.learn import Step, learn
from penjing.tokenizer.bpe.symbols import lay_out
from penjing.tokenizer.bpe.training import numbered
from penjing.tokenizer.config import HanRule, SplitName
from penjing.tokenizer.sample import draw_sample
from penjing.tokenizer.splits import training_splitter

pytestmark = pytest.mark.xdist_group("compiled")  # compiled once


def merges_of(steps: Sequence[Step]) -> list[tuple[str, str]]:
    vocab, merges = numbered(steps)
    return [(vocab[merge.left], vocab[merge.right]) for merge in merges]


def theirs(
    texts: Sequence[str], split: SplitName, han: HanRule, size: int
) -> list[tuple[str, str]]:
    """The merges that `tokenizers` learns."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = training_splitter(split, han)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=list(BYTE_TO_CHAR), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    return [tuple(merge) for merge in json.loads(backend.to_str())["model"]["merges"]]


def compiled_steps(words: dict[bytes, int], size: int) -> list[Step]:
    """The steps for words whose bytes are their ids."""
    starts = np.array([0, *accumulate(map(len, words))], np.int64)
    text = np.frombuffer(b"".join(words), np.uint8)
    counts = np.array(list(words.values()), np.int64)
    symbols = lay_out(text, starts, counts, np.arange(256, dtype=np.int32))
    return steps_of(merged(symbols, size))


FEW_LETTERS = st.text("aab", min_size=1, max_size=30) | st.text("abcdef", min_size=1, max_size=12)


@settings(max_examples=400)
@given(
    st.dictionaries(FEW_LETTERS.map(str.encode), st.integers(1, 9), max_size=30),
    st.integers(256, 330),
)
def test_the_steps_of_the_explained_trainer(words: dict[bytes, int], size: int) -> None:
    tokens = [bytes([byte]) for byte in range(256)]
    assert compiled_steps(words, size) == learn(
        {tuple(w): n for w, n in words.items()}, tokens, size
    )


TEXT = st.text(st.sampled_from("aabcde  \n'st今天天气不错，。人工智能é👨\u200d1")) | st.text()


@settings(max_examples=100)
@given(
    texts=st.lists(TEXT, min_size=1, max_size=5),
    split=st.sampled_from(get_args(SplitName)),
    han=st.sampled_from(get_args(HanRule)),
    size=st.integers(257, 320),
)
def test_the_merges_of_tokenizers(
    texts: list[str], split: SplitName, han: HanRule, size: int
) -> None:
    plain = plainly(texts, split, han, size)
    assert compiled(texts, split, han, size) == plain
    assert merges_of(plain) == theirs(texts, split, han, size)


@pytest.mark.network
@pytest.mark.parametrize("size", [512, 8192, 32_000])
@pytest.mark.parametrize(("name", "n"), [("wiki", 2_000_000), ("tang", 200_000)])
def test_the_merges_of_tokenizers_on_real_text(name: str, n: int, size: int) -> None:
    texts, left = [], n
    for document in load_corpus(name):
        texts.append(document.text[:left])
        left -= len(texts[-1])
        if left == 0:
            break
    if size == 512:
        texts = [text[:100_000] for text in texts[:500]]
    steps = compiled(texts, "qwen2", "run", size)
    assert len(steps) >= size - 256
    assert merges_of(steps) == theirs(texts, "qwen2", "run", size)
    if size == 512:
        assert steps == plainly(texts, "qwen2", "run", size)


def test_words_of_all_bytes_and_lengths() -> None:
    draw = np.random.default_rng(0)
    words = {draw.bytes(int(n)): int(n) for n in draw.integers(1, 300, 200)}
    tokens = [bytes([byte]) for byte in range(256)]
    expected = learn({tuple(word): n for word, n in words.items()}, tokens, 5000)
    assert compiled_steps(words, 5000) == expected


def test_counts_beyond_32_bits() -> None:
    steps = compiled_steps({b"ab": 2**31 - 1, b"xab": 2**31 - 1}, 257)
    assert steps == [Step(ord("a"), ord("b"), 256, 2**32 - 2)]


def test_progress_is_told_and_a_listener_can_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_TOLD_EVERY", 0.001)
    draw = np.random.default_rng(0)
    han = "".join(map(chr, draw.integers(0x4E00, 0x9FA0, 400_000)))
    told: list[int] = []
    compiled([han], "qwen2", "run", 20_000, told.append)
    assert told == sorted(told) and len(set(told)) > 3 and min(told) >= 256

    def stop(n: int) -> None:
        raise KeyboardInterrupt

    begin = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        compiled([han], "qwen2", "run", 200_000, stop)
    assert time.perf_counter() - begin < 5


def test_more_words_than_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_MOST", 18)
    with pytest.raises(TokenizerError, match=r"3 different words cannot be counted.*sample_bytes"):
        compiled(["one two three"], "qwen2", "run", 300)


def test_without_a_compiler_python_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no LLVM here")

    monkeypatch.setattr(corpus, "compiled", fail)
    texts = ["今天天气不错 and the cat sat. " * 10] * 2000
    sample = draw_sample(texts, 10**9)
    with pytest.warns(RuntimeWarning, match=r"cannot be compiled here \(no LLVM here\)"):
        steps = learn_steps(sample, "qwen2", "run", 280)
    assert steps == compiled(texts, "qwen2", "run", 280)
