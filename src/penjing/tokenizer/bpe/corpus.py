"""From texts to the steps of training: words are counted, and merged in Python or compiled.

Both ways give the same steps. Compiled code takes a second to load, and the first time on a machine
some to be compiled; so a small text is merged in Python, as `learn` explains it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import TokenizerError
from penjing.core.garbage import give_back_freed
from penjing.tokenizer.alphabet import BYTE_TO_CHAR, CHAR_TO_BYTE
from penjing.tokenizer.bpe.learn import Step, learn
from penjing.tokenizer.config import HanRule, SplitName
from penjing.tokenizer.sample import Sample
from penjing.tokenizer.splits import training_splitter

SMALL = 1 << 19  # bytes of text
_MOST = 2**31 - 1  # places in words, and occurrences of one: they are numbers of 32 bits
PART = 1 << 16  # places that are looked at in one call: some milliseconds
_TOLD_EVERY = 0.25  # seconds

LETTERS = sorted(BYTE_TO_CHAR)  # `tokenizers` numbers them so, and ties go to the lower number


def learn_steps(
    sample: Sample,
    split: SplitName,
    han: HanRule,
    size: int,
    on_tokens: Callable[[int], None] = lambda n: None,
) -> list[Step]:
    """Merge the words of a sample until there are `size` tokens, or no pair is left.

    The ids of bytes are their places in `LETTERS`. `on_tokens` is told now and then how many tokens
    there are. Ctrl-C stops the work.

    Raises:
        TokenizerError: there is more of it than can be counted.
    """
    if sample.n_bytes <= SMALL:
        return plainly(sample.texts, split, han, size)
    from penjing.compiling.functions import COMPILING_FAILED
    from penjing.compiling.notice import warn_of_failure

    try:
        _get_ready(split, han)  # if anything fails, it is this
    except COMPILING_FAILED as error:
        without = "training takes longer, and gives the same tokenizer"
        warn_of_failure("The fast trainer", error, without)
        return plainly(sample.texts, split, han, size)
    return compiled(sample.given_away(), split, han, size, on_tokens)


def _get_ready(split: SplitName, han: HanRule) -> None:
    """Load, or compile, all that `compiled` calls; what this takes of memory is given back."""
    from penjing.compiling.residence import set_compiler_aside

    set_compiler_aside()
    from penjing.tokenizer.fast.words import count_words

    count_words(["a a"], split, han)
    set_compiler_aside()
    compiled(["a a"], split, han, len(LETTERS) + 1)
    set_compiler_aside()


def plainly(texts: Iterable[str], split: SplitName, han: HanRule, size: int) -> list[Step]:
    """The same in Python alone."""
    splitter = training_splitter(split, han)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in splitter.pre_tokenize_str(text))
    ids = {letter: id for id, letter in enumerate(LETTERS)}
    tokens = [bytes([CHAR_TO_BYTE[letter]]) for letter in LETTERS]
    return learn(
        {tuple(ids[letter] for letter in word): n for word, n in words.items()}, tokens, size
    )


def compiled(
    texts: Iterable[str],
    split: SplitName,
    han: HanRule,
    size: int,
    on_tokens: Callable[[int], None] = lambda n: None,
) -> list[Step]:
    """The same by compiled code, some ten times as fast.

    What is done with is given back at once, for the next part takes as much memory again.
    """
    from penjing.tokenizer.bpe.symbols import lay_out
    from penjing.tokenizer.fast.words import count_words

    ids = np.empty(len(LETTERS), np.int32)
    ids[[CHAR_TO_BYTE[letter] for letter in LETTERS]] = np.arange(len(LETTERS))
    words = count_words(texts, split, han)
    if len(words.text) + 2 * len(words) > _MOST or max(words.counts, default=0) > _MOST:
        raise TokenizerError(
            f"The merges of {len(words):,} different words cannot be counted at once. Set "
            "sample_bytes to 1000000000 or less."
        )
    symbols = lay_out(words.text, words.starts, words.counts, ids)
    del words
    give_back_freed()
    table = merged(symbols, size, on_tokens)
    del symbols
    give_back_freed()
    return steps_of(table)


def merged(
    symbols: NDArray[np.int32], size: int, on_tokens: Callable[[int], None] = lambda n: None
) -> NDArray[np.int64]:
    """Rows of a `Step` each, for words laid out as symbols, which are changed in place."""
    from penjing.tokenizer.bpe.compiled import first_state, merge_on

    size = min(size, len(LETTERS) + len(symbols))  # a new token stands in place of two
    state, is_end = first_state(symbols, size), False
    told = time.monotonic()
    while not is_end:  # Ctrl-C is heard between two calls
        state, is_end = merge_on(symbols, size, state, PART)
        if time.monotonic() - told > _TOLD_EVERY:
            on_tokens(state.n_tokens)
            told = time.monotonic()
    table: NDArray[np.int64] = state.steps[: state.n_steps]
    return table.copy()


def steps_of(table: NDArray[np.int64]) -> list[Step]:
    """Rows as steps."""
    return list(map(Step._make, zip(*table.T.tolist(), strict=True)))
