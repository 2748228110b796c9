"""Which characters a vocabulary has tokens for: all of a text's, or all but the rarest."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig


def check_coverage(coverage: float) -> None:
    """Refuse what is no share.

    Raises:
        TokenizerError: `coverage` is not above 0 and at most 1.
    """
    if not 0 < coverage <= 1:
        raise TokenizerError(
            f"coverage is a share of the text's characters, above 0 and at most 1; got {coverage}."
        )


def covering(counts: Mapping[str, int], coverage: float) -> list[str]:
    """The fewest characters that make up this share of a text, in code point order.

    The most frequent ones are taken, of equals the one of the lower code point.
    """
    missing = coverage * sum(counts.values())
    kept: list[str] = []
    for char, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        if missing <= 0:
            break
        kept.append(char)
        missing -= count
    return sorted(kept)


def check_room(
    config: TokenizerConfig,
    counts: Mapping[str, int],
    needed: Callable[[Sequence[str]], int],
    what: str,
) -> None:
    """Refuse a vocabulary that is smaller than its alphabet, and say which coverage would fit.

    Args:
        counts: each character of the text, and how often it occurs.
        needed: the smallest vocabulary that has these characters, and all that must be in it.
        what: all this, in words.

    Raises:
        TokenizerError: it is.
    """
    least = needed(covering(counts, config.coverage))
    if least <= config.vocab_size:
        return
    ranked = sorted(counts, key=lambda char: (-counts[char], char))
    places = range(len(ranked) + 1)
    fit = bisect_right(places, config.vocab_size, key=lambda n: needed(ranked[:n])) - 1
    share = sum(counts[char] for char in ranked[: max(0, fit)]) / sum(counts.values())
    coverage = int(share * 10_000) / 10_000
    cure = f", or coverage {coverage:g}, so that the rarest have no tokens" if coverage else ""
    raise TokenizerError(
        f"The vocabulary is smaller than its alphabet: {what} are {least} tokens, but vocab_size "
        f"is {config.vocab_size}. Choose vocab_size {least} or more{cure}."
    )


def count_characters(texts: Iterable[str]) -> Counter[str]:
    """How often each character occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return counts
