"""How many tokens a text is, and how often a model of some size should pass over it.

Hoffmann et al. 2022 (arXiv 2203.15556): for the same arithmetic the loss is least with about 20
tokens for each parameter. Muennighoff et al. 2023 (arXiv 2305.16264): tokens that come again count
less and less: after R repeats of U tokens, the text is worth U + U R* (1 - exp(-R / R*)) new ones,
with R* = 15.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from penjing.tokenizer.tokenizer import Tokenizer

PER_PARAMETER = 20.0  # tokens, compute-optimal
HALF_LIFE = 15.387743  # R*, repeats
BYTES = 257  # tokens of a vocabulary that is bytes alone, and the end of a document
GOOD_PASSES = 4.0  # up to which repeated text is nearly as good as new


@dataclass(frozen=True)
class Tokens:
    """How many tokens a text will be: counted in a sample, and scaled up."""

    n: int
    bytes_per_token: float
    vocab_size: int
    sample_bytes: int


@dataclass(frozen=True)
class Passes:
    """A compute-optimal plan for a model and a text."""

    parameters: int
    wanted: float  # new tokens that would be best
    passes: float | None  # over the text, so that it is worth that many; None: never
    share: float  # of what would be best that `GOOD_PASSES` give, at most 1
    fitting: float  # parameters for which one pass over this text would be best
    most: float  # parameters for which `GOOD_PASSES` would be


def count_tokens(sample: Sequence[str], n_bytes: int, tokenizer: Tokenizer) -> Tokens:
    """Tokens of a text of `n_bytes` bytes, from a sample of it."""
    size = sum(len(text.encode("utf-8")) for text in sample)
    n = sum(len(ids) for ids, _ in tokenizer.encode_pieces(iter(sample)))
    per_token = size / max(n, 1)
    return Tokens(round(n_bytes / per_token), per_token, tokenizer.vocab_size, size)


def plan_passes(n_parameters: int, n_tokens: int) -> Passes:
    """How often a model should pass over a text of `n_tokens` tokens.

    Fewer than one pass means that a part of the text is enough for the best use of the arithmetic;
    training on more makes a better model all the same.
    """
    wanted = PER_PARAMETER * n_parameters
    good = worth(n_tokens, GOOD_PASSES)
    return Passes(
        parameters=n_parameters,
        wanted=wanted,
        passes=_passes(n_tokens, wanted),
        share=min(1.0, good / wanted),
        fitting=n_tokens / PER_PARAMETER,
        most=good / PER_PARAMETER,
    )


def worth(n_tokens: float, passes: float) -> float:
    """How many new tokens so many passes over a text are worth."""
    if passes <= 1:
        return n_tokens * passes
    return n_tokens * (1 + HALF_LIFE * (1 - math.exp(-(passes - 1) / HALF_LIFE)))


def _passes(n_tokens: float, wanted: float) -> float | None:
    """The inverse of `worth`."""
    ratio = wanted / n_tokens
    if ratio <= 1:
        return ratio
    left = 1 - (ratio - 1) / HALF_LIFE
    return 1 - HALF_LIFE * math.log(left) if left > 0 else None
