"""WordPiece, step by step: the longest piece that fits, then the longest that fits the rest.

Source: Devlin et al., 2018 (BERT), tokenization.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Match:
    """One step: what was looked for at a place of the word, and what was found."""

    start: int  # characters of the word
    end: int
    piece: str | None  # as the vocabulary writes it; None: nothing fits here
    tried: tuple[str, ...]  # longer ones that the vocabulary has not, the longest first


@dataclass(frozen=True)
class LongestMatch:
    """How one word was cut."""

    word: str  # as the model sees it, in lower case for most
    matches: tuple[Match, ...]
    too_long: bool = False  # more characters than the model looks at: nothing was tried

    @property
    def unknown(self) -> bool:
        """Whether all of it became the unknown token: where one piece fails, the word does."""
        return self.too_long or any(match.piece is None for match in self.matches)


class PieceTable:
    """The pieces of a WordPiece model.

    Args:
        model: the "model" of a tokenizer.json.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._vocab: Mapping[str, int] = model["vocab"]
        self.prefix: str = model.get("continuing_subword_prefix", "##")  # inside a word
        self._most: int = model.get("max_input_chars_per_word", 100)

    def match(self, word: str) -> LongestMatch:
        """How a word is cut."""
        if len(word) > self._most:
            return LongestMatch(word, (), too_long=True)
        matches: list[Match] = []
        start = 0
        while start < len(word):
            found = self._longest(word, start)
            matches.append(found)
            if found.piece is None:
                break
            start = found.end
        return LongestMatch(word, tuple(matches))

    def _longest(self, word: str, start: int) -> Match:
        tried: list[str] = []
        for end in range(len(word), start, -1):
            piece = (self.prefix if start else "") + word[start:end]
            if piece in self._vocab:
                return Match(start, end, piece, tuple(tried))
            tried.append(piece)
        return Match(start, start, None, tuple(tried))
