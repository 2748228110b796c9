"""Ladders of merges: order, ranks, and the less common forms of a BPE model."""

import json

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models

from penjing.tokenizer.ladder import MergeTable
from penjing.tokenizer.tokenizer import Tokenizer

MERGES = [("a", "b"), ("b", "c"), ("ab", "c"), ("c", "d"), ("abc", "d")]


def test_the_earliest_pair_goes_first_and_of_equals_the_leftmost() -> None:
    table = MergeTable({"merges": [("a", "a"), ("aa", "a"), ("aa", "aa"), ("aaaa", "a")]})
    ladder = table.ladder("aaaaa")
    assert [(merge.rank, merge.at) for merge in ladder.merges] == [(0, 0), (0, 2), (1, 2)]
    assert list(ladder.states())[-1] == ("aa", "aaa") and ladder.whole


def test_ranks_parts_and_counts() -> None:
    table = MergeTable({"merges": [" ".join(pair) for pair in MERGES]}, counts=[9, 8, 7, 6, 5])
    ladder = table.ladder("abcd")
    assert [merge.rank for merge in ladder.merges] == [0, 2, 4]
    assert [merge.count for merge in ladder.merges] == [9, 7, 5]
    assert list(ladder.states()) == [
        ("a", "b", "c", "d"),
        ("ab", "c", "d"),
        ("abc", "d"),
        ("abcd",),
    ]
    assert not ladder.whole and len(table) == 5


def test_a_token_that_no_merges_lead_to() -> None:
    ladder = MergeTable({"merges": MERGES}).ladder("abx")
    assert ladder.whole and list(ladder.states())[-1] == ("ab", "x")


@pytest.mark.parametrize(
    ("prefix", "suffix", "merges", "word"),
    [
        (None, "</w>", [("c", "a"), ("ca", "t</w>"), ("c", "at</w>")], "cat"),
        ("##", None, [("c", "##a"), ("ca", "##t"), ("##a", "##t")], "cat"),
    ],
)
def test_marks_of_places_in_a_word(
    prefix: str | None, suffix: str | None, merges: list[tuple[str, str]], word: str
) -> None:
    results = {left + right.removeprefix(prefix or "\0") for left, right in merges}
    parts = {part for pair in merges for part in pair}
    vocab = {token: id for id, token in enumerate(sorted(results | parts))}
    marks = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    backend = Backend(models.BPE(vocab, merges, **{k: v for k, v in marks.items() if v}))
    tokens = backend.encode(word).tokens
    table = MergeTable(json.loads(backend.to_str())["model"])
    assert len(tokens) == 1
    ladder = table.ladder(tokens[0])
    assert len(ladder.symbols) == 3 and [merge.rank for merge in ladder.merges] == [0, 1]
    assert not ladder.whole and list(ladder.states())[-1] == tuple(tokens)


def test_bytes_of_fallback_and_unknown_are_symbols() -> None:
    table = MergeTable({"merges": MERGES, "unk_token": "<unk>", "byte_fallback": True})
    assert table.ladder("<unk>").symbols == ("<unk>",)
    assert table.ladder("<0xE4>").symbols == ("<0xE4>",)
    assert MergeTable({"merges": MERGES}).ladder("<0xE4>").symbols == tuple("<0xE4>")


def test_a_very_long_token_takes_no_long_time(bpe: Tokenizer) -> None:
    table = MergeTable({"merges": [("a" * 2**n, "a" * 2**n) for n in range(16)]})
    assert len(table.ladder("a" * 2**16).merges) == 2**16 - 1
