"""What is known of a text, and of what one tokenizer makes of it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TextFigures:
    """What a text holds, whoever cuts it."""

    documents: int
    characters: int
    bytes: int  # in UTF-8
    words: int  # between white space, with letters or digits, and of scripts that have such words
    in_words: int  # characters of these words
    unspaced: int  # characters between white space with a script that has none between its words
    scripts: Mapping[str, int]  # characters of each, the commonest first


@dataclass(frozen=True)
class CutFigures:
    """What one tokenizer makes of a text."""

    text: TextFigures
    vocab_size: int
    tokens: int
    fragments: int  # tokens that hold only a part of some character
    unknown: int  # tokens that stand for what the vocabulary has not: it is lost
    unspaced: float  # tokens of the text's `unspaced` characters
    scripts: Mapping[str, float]  # tokens of each script, in the text's order

    @property
    def characters_per_token(self) -> float:
        return _ratio(self.text.characters, self.tokens)

    @property
    def bytes_per_token(self) -> float:
        return _ratio(self.text.bytes, self.tokens)

    @property
    def tokens_per_word(self) -> float | None:
        """Spaces and punctuation included. None for a text that is not mostly of such words."""
        text = self.text
        if not text.words or text.in_words < text.unspaced:
            return None
        return (self.tokens - self.unspaced) / text.words

    @property
    def fragment_share(self) -> float:
        return _ratio(self.fragments, self.tokens)

    @property
    def fertility(self) -> dict[str, float]:
        """Tokens per character, by script."""
        return {name: n / self.text.scripts[name] for name, n in self.scripts.items()}

    def to_json(self) -> dict[str, Any]:
        """All of it, with what follows from it; None for what is not a number."""
        ratios = {
            "characters_per_token": self.characters_per_token,
            "bytes_per_token": self.bytes_per_token,
            "tokens_per_word": self.tokens_per_word,
            "fragment_share": self.fragment_share,
        }
        known = {
            name: None if ratio is None or math.isnan(ratio) else ratio
            for name, ratio in ratios.items()
        }
        return asdict(self) | known | {"fertility": self.fertility}


def _ratio(part: float, whole: float) -> float:
    """Not a number where there is no token, as of characters that a vocabulary leaves out."""
    return part / whole if whole else math.nan
