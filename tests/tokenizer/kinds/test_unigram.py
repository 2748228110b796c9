"""Unigram: every sum over all ways to cut a word is checked by going through all ways."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.likelihood import expected_counts, losses
from penjing.tokenizer.kinds.pruning import prune
from penjing.tokenizer.kinds.seeds import LONGEST_PIECE, Seeds, find_seeds
from penjing.tokenizer.kinds.words import numbered, row_of_words
from penjing.tokenizer.splits import SPLITS, training_words
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 5), min_size=1)


def ways(word: str, pieces: dict[str, float]) -> Iterator[list[str]]:
    """All ways to cut a word."""
    if not word:
        yield []
    for end in range(1, len(word) + 1):
        if word[:end] in pieces:
            for rest in ways(word[end:], pieces):
                yield [word[:end], *rest]


def row_of(words: dict[str, int]) -> tuple[str, np.ndarray, np.ndarray]:
    ends = np.cumsum([len(word) for word in words])
    return "".join(words), ends, np.array(list(words.values()))


def seeds_of(words: dict[str, int], most: int = 1000) -> tuple[Seeds, np.ndarray, np.ndarray]:
    characters, ends, weights = numbered(*row_of(words), "abc")
    return find_seeds(characters, ends, weights, "abc", most), ends, weights


@given(words=WORDS)
def test_seeds_are_all_that_occurs_twice(words: dict[str, int]) -> None:
    strings: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, len(word) + 1):
                strings[word[start:end]] += count
    seeds, ends, _ = seeds_of(words)
    text = "".join(words)
    assert seeds.texts[:3] == ["a", "b", "c"]
    expected = {string for string, count in strings.items() if count >= 2 and len(string) > 1}
    assert set(seeds.texts[3:]) == expected and len(seeds.texts) == 3 + len(expected)
    for string, worth, start in zip(seeds.texts, seeds.worth, seeds.starts, strict=True):
        assert worth == strings[string] * len(string)
        assert strings[string] == 0 or text[start:].startswith(string)
    for place in range(len(text)):
        begin = max((end for end in ends.tolist() if end <= place), default=0)
        here = slice(seeds.first[place], seeds.first[place + 1])
        found = [seeds.texts[piece] for piece in seeds.pieces[here]]
        assert seeds.lengths[here].tolist() == [len(string) for string in found]
        known = {*expected, *"abc"}
        assert set(found) == known & {text[at : place + 1] for at in range(begin, place + 1)}


def test_the_worthiest_seeds_are_kept() -> None:
    seeds, _, _ = seeds_of({"abab": 10, "cc": 30}, most=2)
    assert set(seeds.texts) == {"a", "b", "c", "cc", "ab"} and seeds.texts[:3] == ["a", "b", "c"]
    seeds, _, _ = seeds_of({"a" * 30: 2})
    assert max(map(len, seeds.texts)) == LONGEST_PIECE


@given(words=WORDS, draw=st.randoms(use_true_random=False))
def test_expected_counts_are_sums_over_all_ways(words: dict[str, int], draw: random.Random) -> None:
    seeds, ends, weights = seeds_of(words)
    scores = np.array([math.log(draw.uniform(0.01, 1)) for _ in seeds.texts])
    pieces = dict(zip(seeds.texts, scores.tolist(), strict=True))
    expected: Counter[str] = Counter()
    likelihood = 0.0
    for word, count in words.items():
        cuts = [(cut, math.exp(sum(pieces[piece] for piece in cut))) for cut in ways(word, pieces)]
        total = sum(share for _, share in cuts)
        likelihood += count * math.log(total)
        for cut, share in cuts:
            for piece in cut:
                expected[piece] += count * share / total
    found, log = expected_counts(
        seeds.first, seeds.lengths, seeds.pieces, ends, weights, scores, max(map(len, words))
    )
    assert log == pytest.approx(likelihood)
    assert found.tolist() == pytest.approx([expected[text] for text in seeds.texts])


@given(words=WORDS, draw=st.randoms(use_true_random=False))
def test_losses_are_those_of_the_best_other_way(words: dict[str, int], draw: random.Random) -> None:
    seeds, _, _ = seeds_of(words)
    counts = np.array([draw.uniform(1, 100) for _ in seeds.texts])
    scores = np.log(counts / counts.sum())
    sizes = np.array(list(map(len, seeds.texts)))
    found = losses(seeds.first, seeds.lengths, seeds.pieces, seeds.starts, sizes, counts, scores)
    count_of = dict(zip(seeds.texts, counts.tolist(), strict=True))
    pieces = dict(zip(seeds.texts, scores.tolist(), strict=True))
    total = sum(count_of.values())
    for text, loss in zip(seeds.texts, found.tolist(), strict=True):
        if len(text) == 1:
            assert loss == math.inf
            continue
        count = count_of[text]
        others = [cut for cut in ways(text, pieces) if cut != [text]]
        best = max(others, key=lambda cut: sum(pieces[piece] for piece in cut))
        after = total + count * (len(best) - 1)
        instead = sum(math.log((count_of[piece] + count) / after) for piece in best)
        assert loss == pytest.approx(count * (math.log(count / total) - instead))


def test_estimating_makes_the_words_likelier() -> None:
    words = {"unhappy": 5, "happy": 9, "happiness": 4, "unhappiness": 3, "uneven": 7, "even": 11}
    alphabet = sorted({char for word in words for char in word})
    characters, ends, weights = numbered(*row_of(words), alphabet)
    seeds = find_seeds(characters, ends, weights, alphabet, 1000)
    arguments = (seeds.first, seeds.lengths, seeds.pieces, ends, weights)
    scores = np.log(seeds.worth / seeds.worth.sum())
    seen = []
    for _ in range(5):
        counts, log = expected_counts(*arguments, scores, 11)
        seen.append(log)
        scores = np.log(counts.clip(1e-9) / counts.sum())
    assert seen == sorted(seen) and seen[-1] > seen[0] + 10
    kept, scores = prune(seeds, ends, weights, len(alphabet) + 5)
    texts = [seeds.texts[n] for n in kept]
    assert len(texts) == len(alphabet) + 5 and set(alphabet) <= set(texts)
    assert "even" in texts
    assert np.exp(scores).sum() == pytest.approx(1)


def train(texts: list[str], size: int, **settings: object) -> Tokenizer:
    config = TokenizerConfig(kind="unigram", vocab_size=size, **settings)
    return train_tokenizer(texts, config)


def pieces_of(tokenizer: Tokenizer) -> dict[str, float]:
    return dict(json.loads(tokenizer.text)["model"]["vocab"])


def test_a_word_is_cut_the_likeliest_way(corpus: list[str]) -> None:
    tokenizer = train(corpus, 500)
    pieces = pieces_of(tokenizer)
    for word in ("unhappiness", "智能", " world", "distributed"[:9], " print"):
        cut = [tokenizer.token_of(id) for id in tokenizer.encode(word)]
        scores = [sum(pieces[piece] for piece in way) for way in ways(word, pieces)]
        assert sum(pieces[piece] for piece in cut) == pytest.approx(max(scores))


def test_the_vocabulary(corpus: list[str]) -> None:
    tokenizer = train(corpus, 500)
    tokens = [tokenizer.token_of(id) for id in range(500)]
    n_learned = 500 - 256 - 2
    assert tokens[n_learned:] == [
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "<unk>",
        "<|endoftext|>",
    ]
    scores = list(pieces_of(tokenizer).values())
    assert scores[:n_learned] == sorted(scores[:n_learned], reverse=True)
    assert max(scores[n_learned:]) < 6 * min(scores[:n_learned])
    assert [tokenizer.token_bytes(id) for id in range(n_learned, n_learned + 256)] == [
        bytes([byte]) for byte in range(256)
    ]


@pytest.mark.parametrize("text", ["<0xE4>", "<unk>", "<0xE4><0xBA><0xBA>", "x<0x0A>"])
def test_the_name_of_a_byte_is_text(text: str) -> None:
    tokenizer = train(["天气 " * 9], 284)
    ids = tokenizer.encode(text)
    assert "".join(map(tokenizer.token_of, ids)) == text and len(ids) == len(text)
    assert tokenizer.decode(ids) == text


def test_an_unknown_character_is_written_as_bytes() -> None:
    tokenizer = train(["天气 " * 9], 284)
    ids = tokenizer.encode("𠮷a")
    names = [tokenizer.token_of(id) for id in ids]
    assert names == ["<0xF0>", "<0xA0>", "<0xAE>", "<0xB7>", "<0x61>"]
    assert tokenizer.decode(ids) == "𠮷a"


def test_rare_characters_can_be_left_out(corpus: list[str]) -> None:
    with pytest.raises(TokenizerError, match=r"smaller than its alphabet") as caught:
        train(corpus, 340)
    assert "or coverage 0.8681" in str(caught.value)
    tokenizer = train(corpus, 340, coverage=0.8681)
    assert tokenizer.vocab_size == 340
    for text in corpus:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_size_that_the_text_cannot_fill() -> None:
    with pytest.raises(TokenizerError, match=r"gives at most (\d+)") as caught:
        train(["abcabc"], 5000)
    size = int(str(caught.value).split("at most ")[1].split(".")[0])
    assert train(["abcabc"], size).vocab_size == size


@pytest.mark.parametrize("split", SPLITS)
def test_han_characters_alone(split: str, corpus: list[str]) -> None:
    def widest(han: str) -> int:
        learned = list(pieces_of(train(corpus, 450, split=split, han=han)))[: 450 - 258]
        return max(sum("\u4e00" <= char <= "\u9fff" for char in piece) for piece in learned)

    assert widest("char") == 1
    assert widest("run") > 1


@pytest.mark.parametrize("split", SPLITS)
@given(text=st.text(st.sampled_from("ab 12\n.，天气𠮷'sé")))
def test_words_are_those_of_the_split_rule(split: str, text: str) -> None:
    from tokenizers import pre_tokenizers

    splitter = pre_tokenizers.Sequence(training_words(split, "run"))
    expected = Counter(word for word, _ in splitter.pre_tokenize_str(text))
    row, ends, counts = row_of_words([text], split, "run")
    starts = [0, *ends.tolist()]
    words = [row[start:end] for start, end in pairwise(starts)]
    assert dict(zip(words, counts.tolist(), strict=True)) == expected


def test_characters_without_a_number_part_words() -> None:
    characters, ends, weights = numbered(*row_of({"axbc": 2, "x": 9, "cx": 3}), "abc")
    assert characters.tolist() == [0, 1, 2, 2]
    assert (ends.tolist(), weights.tolist()) == ([1, 3, 4], [2, 2, 3])
