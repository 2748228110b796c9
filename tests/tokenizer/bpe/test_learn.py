"""The explained trainer: small cases by hand, each count by counting anew, and `tokenizers`."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.tokenizer.bpe.corpus import plainly
from penjing.tokenizer.bpe.learn import Step, learn, merge
from penjing.tokenizer.bpe.training import numbered
from penjing.tokenizer.record import MergeRecord

LETTERS = "abcd"
WORDS = st.dictionaries(st.text(LETTERS, min_size=1, max_size=14), st.integers(1, 6), max_size=12)


def learned(words: dict[str, int], n: int) -> tuple[list[Step], list[bytes]]:
    tokens = [letter.encode() for letter in LETTERS]
    ids = {tuple(map(LETTERS.index, word)): count for word, count in words.items()}
    return learn(ids, tokens, len(tokens) + n), tokens


def test_the_example_of_the_docstring() -> None:
    text = {"happy": 1, "unhappy": 1}
    order = sorted(set("".join(text)))
    tokens = [letter.encode() for letter in order]
    ids = {tuple(map(order.index, word)): count for word, count in text.items()}
    steps = learn(ids, tokens, len(order) + 4)
    assert [tokens[step.result] for step in steps] == [b"ap", b"hap", b"py", b"happy"]
    assert [step.times for step in steps] == [2, 2, 2, 2]


def test_of_equals_the_lower_ids_come_first() -> None:
    steps, _ = learned({"cd": 3, "ab": 3, "ba": 3}, 3)
    assert [(step.left, step.right) for step in steps] == [(0, 1), (1, 0), (2, 3)]


def test_it_stops_when_no_pair_is_left() -> None:
    steps, tokens = learned({"abc": 1}, 50)
    assert tokens[4:] == [b"ab", b"abc"] and [step.times for step in steps] == [1, 1]
    assert learned({}, 50)[0] == [] == learned({"a": 9}, 50)[0]


def test_a_merge_takes_pairs_from_left_to_right() -> None:
    word = [0, 0, 0, 1, 0, 0]
    changes = Counter[tuple[int, int]]()
    for pair, change in merge(word, (0, 0), 7):
        changes[pair] += change
    assert word == [7, 0, 1, 7]
    assert {pair: n for pair, n in changes.items() if n} == {
        (7, 0): 1,
        (0, 0): -1,
        (1, 0): -1,
        (1, 7): 1,
    }


@given(WORDS, st.integers(0, 20))
def test_each_step_is_the_most_frequent_pair_then(words: dict[str, int], n: int) -> None:
    """Counting anew before every step, as slow as that is."""
    steps, _ = learned(words, n)
    cuts = {word: list(map(LETTERS.index, word)) for word in words}
    for step in steps:
        counts: Counter[tuple[int, int]] = Counter()
        for word, cut in cuts.items():
            for pair in pairwise(cut):
                counts[pair] += words[word]
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        assert best == step[:2] and counts[best] == step.times
        for cut in cuts.values():
            merge(cut, best, step.result)


@settings(max_examples=200)
@given(WORDS)
def test_all_steps_lead_to_words(words: dict[str, int]) -> None:
    _, tokens = learned(words, 500)
    assert {word.encode() for word in words} <= set(tokens)
    assert len(set(tokens)) == len(tokens)


def test_ids_of_bytes_are_the_bytes_whatever_their_order_in_training() -> None:
    steps = plainly(["hello hello hello"], "qwen2", "run", 258)
    vocab, merges = numbered(steps)
    assert len(vocab) == 258 and vocab[ord("h")] == "h" and vocab[ord(" ")] == "Ġ"
    assert [vocab[merge.result] for merge in merges] == ["el", "hel"]
    assert merges[0] == MergeRecord(0, ord("e"), ord("l"), 256, 3)
    assert merges[1] == MergeRecord(1, ord("h"), 256, 257, 3)


def test_a_pair_that_was_merged_twice_has_the_later_rank() -> None:
    steps = [Step(0, 1, 256, 9), Step(2, 3, 257, 8), Step(0, 1, 256, 7), Step(256, 4, 258, 1)]
    vocab, merges = numbered(steps)
    assert [merge.count for merge in merges] == [8, 7, 1]
    assert [merge.rank for merge in merges] == [0, 1, 2]
    assert vocab[256:] == ["#$", '!"', '!"%']
    assert merges[2].left == vocab.index('!"')


def test_two_merges_that_give_one_token() -> None:
    steps = [Step(0, 1, 256, 9), Step(1, 2, 257, 8), Step(256, 2, 258, 7), Step(0, 257, 258, 6)]
    vocab, merges = numbered(steps)
    assert len(vocab) == 259 and [merge.result for merge in merges] == [256, 257, 258, 258]
