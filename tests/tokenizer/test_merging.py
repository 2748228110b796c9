"""Merges found by arrays and links, against the plain way: count everything anew each time."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penjing.tokenizer.merging import Merge, Merger, learn_merges

LETTERS = {"a": 0, "b": 1, "c": 2, "d": 3}
WORDS = st.dictionaries(
    st.text("abcd", min_size=1, max_size=12), st.integers(1, 5), min_size=1, max_size=12
)


def plain(words: dict[str, int], n: int, old: set[str]) -> list[tuple[str, str]]:
    """The same rule on lists of strings: the ids are the order in which tokens came to be."""
    cuts = {word: list(word) for word in words}
    order = {token: id for id, token in enumerate(sorted(old, key=lambda t: (len(t), t)))}
    merges: list[tuple[str, str]] = []
    forbidden: set[tuple[str, str]] = set()
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, cut in cuts.items():
            for pair in set(pairwise(cut)):
                places = [i for i in range(len(cut) - 1) if (cut[i], cut[i + 1]) == pair]
                pairs[pair] += len(places) * words[word]
        open_pairs = {pair: count for pair, count in pairs.items() if pair not in forbidden}
        best = min(
            open_pairs.items(),
            key=lambda item: (-item[1], order[item[0][0]], order[item[0][1]]),
            default=(("", ""), 0),
        )
        (left, right), count = best
        if count < 2:
            return merges
        if left + right in old:
            forbidden.add((left, right))
            continue
        if left + right not in order:
            if len(order) == len(old) + n:
                return merges
            order[left + right] = len(order)
        merges.append((left, right))
        for word, cut in cuts.items():
            joined: list[str] = []
            i = 0
            while i < len(cut):
                both = cut[i : i + 2] == [left, right]
                joined.append(left + right if both else cut[i])
                i += 1 + both
            cuts[word] = joined


def learned(words: dict[str, int], n: int, old: dict[str, int]) -> list[tuple[str, str]]:
    ids = {tuple(LETTERS[letter] for letter in word): count for word, count in words.items()}
    merges, new = learn_merges(ids, old, len(old), n)
    texts = {
        id: token for token, id in (old | {t: len(old) + i for i, t in enumerate(new)}).items()
    }
    assert all(texts[m.result] == texts[m.left] + texts[m.right] for m in merges)
    return [(texts[m.left], texts[m.right]) for m in merges]


@given(WORDS, st.integers(0, 20))
def test_the_same_merges_as_the_plain_way(words: dict[str, int], n: int) -> None:
    assert learned(words, n, LETTERS) == plain(words, n, set(LETTERS))


@given(WORDS, st.integers(0, 20))
def test_a_text_that_is_an_old_token_is_not_made_again(words: dict[str, int], n: int) -> None:
    old = LETTERS | {"ab": 4, "abc": 5}  # no merge here leads to them: cut in another way
    merges = learned(words, n, old)
    assert merges == plain(words, n, set(old))
    assert not {"ab", "abc"} & {left + right for left, right in merges}


def test_equal_tokens_in_a_row() -> None:
    assert learned({"aaaaa": 3}, 5, LETTERS) == [("a", "a"), ("aa", "a"), ("aa", "aaa")]


def test_the_most_frequent_pair_and_its_count() -> None:
    merger = Merger({(0, 1, 0, 1): 3, (2, 3): 4})
    assert merger.best() == (0, 1, 6)
    merger.merge(Merge(0, 1, 4))
    assert merger.best() == (2, 3, 4)
    merger.forbid(2, 3)
    assert merger.best() == (4, 4, 3)
    merger.merge(Merge(4, 4, 5))
    assert merger.best() is None


def test_a_pair_that_occurs_once_is_no_saving() -> None:
    assert learned({"abcd": 1}, 5, LETTERS) == []
