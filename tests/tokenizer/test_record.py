"""What training noted of the merges: true, saved, read again, and refused where it does not fit."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.record import FILE, load_record, save_record
from penjing.tokenizer.splits import training_splitter
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def trained(corpus: list[str]) -> Tokenizer:
    return train_tokenizer(corpus, TokenizerConfig(vocab_size=400))


def test_the_counts_are_those_of_a_replay(trained: Tokenizer, corpus: list[str]) -> None:
    """Every merge in turn on the words of the text; each pair is counted before it is merged."""
    assert trained.record is not None
    splitter = training_splitter("qwen2", "run")
    words = Counter(word for text in corpus for word, _ in splitter.pre_tokenize_str(text))
    cuts = [([trained.id_of(letter) for letter in word], n) for word, n in words.items()]
    for merge in trained.record.merges:
        pair = (merge.left, merge.right)
        assert sum(n * list(pairwise(cut)).count(pair) for cut, n in cuts) == merge.count
        for cut, _ in cuts:
            at = 0
            while at + 1 < len(cut):
                if (cut[at], cut[at + 1]) == pair:
                    cut[at : at + 2] = [merge.result]
                at += 1
    assert [merge.rank for merge in trained.record.merges] == list(range(400 - 1 - 256))


def test_saved_and_read_again(trained: Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path)
    assert trained.record is not None
    assert load_record(tmp_path, Tokenizer.load(tmp_path)) == trained.record
    content = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    assert content["version"] == 1 and content["sampled"] is False
    assert content["bytes"] == content["read"] == trained.record.n_bytes
    first = trained.record.merges[0]
    assert content["merges"][0] == [first.left, first.right, first.count]


def test_there_need_not_be_one(trained: Tokenizer, tmp_path: Path) -> None:
    trained.with_text(trained.text).save(tmp_path)
    assert load_record(tmp_path, trained) is None
    assert train_tokenizer([], TokenizerConfig(kind="byte")).record is None


def test_what_was_sampled_is_in_it(corpus: list[str]) -> None:
    config = TokenizerConfig(vocab_size=300, sample_bytes=3000)
    record = train_tokenizer(corpus * 20, config).record
    assert record is not None and record.sampled
    assert record.n_bytes <= 3000 < record.n_read == sum(len(text.encode()) for text in corpus) * 20


def test_the_record_of_another_tokenizer(
    trained: Tokenizer, corpus: list[str], tmp_path: Path
) -> None:
    other = train_tokenizer(corpus[:2], TokenizerConfig(vocab_size=300))
    assert other.record is not None
    save_record(tmp_path, other.record)
    with pytest.raises(TokenizerError, match=r"merges\.json belongs to another tokenizer"):
        load_record(tmp_path, trained)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"version": 2, "merges": []}',
        b'{"version": 1, "merges": [[1, 2]]}',
        b'{"version": 1, "merges": [[1, 2, "3"]]}',
        b'{"version": 1, "merges": 7}',
        b'{"version": 1, "merges": []}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record(trained: Tokenizer, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(TokenizerError, match=r"merges\.json is damaged"):
        load_record(tmp_path, trained)
