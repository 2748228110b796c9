"""The lattice of Unigram against all cuts there are."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.tokenizer.lattice import PENALTY, ScoreTable

SCORES = {"a": -2.0, "b": -2.5, "ab": -3.0, "ba": -4.0, "aba": -4.75, "bb": -6.0, "c": -1.0}


def all_cuts(word: str, scores: dict[str, float]) -> list[float]:
    """The score of every cut of a word, the best first."""
    found = []
    for n in range(len(word)):
        for places in combinations(range(1, len(word)), n):
            ends = [0, *places, len(word)]
            parts = [word[start:end] for start, end in pairwise(ends)]
            if all(part in scores or len(part) == 1 for part in parts):
                rare = min(scores.values()) - PENALTY
                found.append(sum(scores.get(part, rare) for part in parts))
    return sorted(found, reverse=True)


@given(st.text(alphabet="abcx", min_size=1, max_size=9))
def test_the_best_paths_are_the_best_of_all(word: str) -> None:
    lattice = ScoreTable({"vocab": list(SCORES.items())}).lattice(word, n_best=4)
    assert [path.score for path in lattice.paths] == pytest.approx(all_cuts(word, SCORES)[:4])
    for path in lattice.paths:
        assert "".join(edge.piece for edge in path.edges) == word
        assert sum(edge.score for edge in path.edges) == pytest.approx(path.score)
    assert len(set(lattice.paths)) == len(lattice.paths)


def test_edges_are_all_pieces_that_fit() -> None:
    lattice = ScoreTable({"vocab": list(SCORES.items())}).lattice("abax")
    found = [(edge.start, edge.end, edge.known) for edge in lattice.edges]
    assert found == [
        (0, 1, True),
        (0, 2, True),
        (0, 3, True),
        (1, 2, True),
        (1, 3, True),
        (2, 3, True),
        (3, 4, False),
    ]


def test_nothing_has_one_empty_path() -> None:
    lattice = ScoreTable({"vocab": []}).lattice("")
    assert lattice.edges == () and [path.edges for path in lattice.paths] == [()]


def test_a_long_word_takes_no_long_time() -> None:
    lattice = ScoreTable({"vocab": list(SCORES.items())}).lattice("abc" * 3000)
    assert len(lattice.paths[0].edges) == 6000
