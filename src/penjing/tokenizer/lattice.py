"""Unigram, as a lattice: every way to cut a word is a path, and the likeliest one is taken.

Each piece has a score, the logarithm of its probability; a path's score is the sum. The best path
to a place is the best path to where its last piece begins, and that piece (Viterbi, 1967).
Source: Kudo, 2018, Subword Regularization.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

PENALTY = 10.0  # of a character without a piece, below the rarest piece; as in `tokenizers`


@dataclass(frozen=True)
class Edge:
    """One piece at one place of the word."""

    start: int  # characters of the word
    end: int
    piece: str
    score: float  # natural logarithm of its probability
    known: bool = True  # False: a character that no piece holds


@dataclass(frozen=True)
class Path:
    """One way to cut the word."""

    edges: tuple[Edge, ...]
    score: float  # the sum of theirs


@dataclass(frozen=True)
class Lattice:
    """All pieces that fit into a word, and the likeliest ways through them."""

    word: str
    edges: tuple[Edge, ...]  # by where they begin, then by length
    paths: tuple[Path, ...]  # the best first


class ScoreTable:
    """The pieces of a Unigram model and their scores.

    Args:
        model: the "model" of a tokenizer.json.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._score: dict[str, float] = dict(model["vocab"])
        self._longest = max(map(len, self._score), default=0)
        self._unknown = min(self._score.values(), default=0.0) - PENALTY

    def lattice(self, word: str, n_best: int = 3) -> Lattice:
        """All ways to cut a word, and the `n_best` likeliest."""
        edges = tuple(edge for start in range(len(word)) for edge in self._from(word, start))
        return Lattice(word, edges, _best_paths(edges, len(word), n_best))

    def _from(self, word: str, start: int) -> Iterator[Edge]:
        """The pieces that begin there; if there is none of one character, that one as unknown."""
        for end in range(start + 1, min(start + self._longest, len(word)) + 1):
            piece = word[start:end]
            if (score := self._score.get(piece)) is not None:
                yield Edge(start, end, piece, score)
            elif end == start + 1:
                yield Edge(start, end, piece, self._unknown, known=False)


def _best_paths(edges: tuple[Edge, ...], length: int, n_best: int) -> tuple[Path, ...]:
    """The likeliest paths from 0 to `length`; of equals the one whose last piece is longer."""
    best: list[list[_Way]] = [[] for _ in range(length + 1)]
    best[0] = [_Way(0.0, None, None)]
    arriving: list[list[Edge]] = [[] for _ in range(length + 1)]
    for edge in edges:
        arriving[edge.end].append(edge)
    for place in range(1, length + 1):
        ways = (
            _Way(way.score + edge.score, edge, way)
            for edge in arriving[place]
            for way in best[edge.start]
        )
        best[place] = sorted(ways, key=lambda way: way.score, reverse=True)[:n_best]
    return tuple(Path(tuple(way.edges())[::-1], way.score) for way in best[length])


class _Way(NamedTuple):
    """A path by its last edge."""

    score: float
    edge: Edge | None
    before: "_Way | None"

    def edges(self) -> Iterator[Edge]:
        """The last one first."""
        way: _Way | None = self
        while way is not None and way.edge is not None:
            yield way.edge
            way = way.before
