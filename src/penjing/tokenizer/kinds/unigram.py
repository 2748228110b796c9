"""Unigram: of all ways to cut a word into pieces the likeliest, each piece by its probability.

In SentencePiece's form with bytes to fall back on, but for two things, so that every text comes
back: words are cut by a split rule, as for BPE, and a space is a space in the vocabulary, not `▁`.
"""

from collections.abc import Callable, Iterable, Sequence

from tokenizers import decoders, models, pre_tokenizers

from penjing.core.events import Listener
from penjing.tokenizer.building import (
    UNKNOWN,
    assemble,
    check_sample,
    learning,
    no_text,
    reporter,
    too_few,
)
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.characters import (
    check_coverage,
    check_room,
    count_characters,
    covering,
)
from penjing.tokenizer.sample import draw_sample
from penjing.tokenizer.splits import word_splitters
from penjing.tokenizer.tokenizer import Tokenizer

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))  # SentencePiece's names of the bytes
# With a piece for each of these, "<0xE4>" in a text is read as six characters, never as that byte.
_SPELLING = frozenset("".join(BYTES) + UNKNOWN)
_SEEDS = 10  # pieces to begin with, for each that is wanted


def train_unigram(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Unigram pieces: begin with many, and leave out those that are missed least.

    The vocabulary has the pieces, the likeliest first, the 256 bytes, `<unk>` (which no text turns
    into) and the special tokens. A character without a piece is written as its bytes.
    Source: Kudo, 2018, Subword Regularization.

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or a size that cannot be had.
    """
    check_coverage(config.coverage)
    check_sample(config.sample_bytes)
    sample = draw_sample(texts, config.sample_bytes, reporter(tell))
    if not sample.pieces:
        raise no_text()
    characters = count_characters(sample.texts)
    fixed = len({*BYTES, UNKNOWN, *config.special_tokens})
    check_room(
        config,
        characters,
        lambda chars: fixed + len(_SPELLING.union(chars)),
        "the 256 bytes, the special tokens and the text's characters",
    )
    alphabet = sorted(_SPELLING.union(covering(characters, config.coverage)))
    told = learning(tell, sample)
    wanted = config.vocab_size - fixed
    pieces = _learn(sample.texts, config, alphabet, wanted, lambda n: told(n + fixed))
    if len(pieces) + fixed < config.vocab_size:
        raise too_few(config.vocab_size, len(pieces) + fixed, sampled=sample.sampled)
    # So unlikely that any text is rather spelled than taken for the name of a byte.
    never = len(BYTES[0]) * min(score for _, score in pieces) - 1
    vocab = [*pieces, *((name, never) for name in (*BYTES, UNKNOWN))]
    return assemble(
        models.Unigram(vocab, unk_id=len(vocab) - 1, byte_fallback=True),
        decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]),
        config.special_tokens,
        pre_tokenizer=pre_tokenizers.Sequence(word_splitters(config.split)),
        unknown=UNKNOWN,
    )


def _learn(
    sample: Iterable[str],
    config: TokenizerConfig,
    alphabet: Sequence[str],
    size: int,
    on_pieces: Callable[[int], None],
) -> list[tuple[str, float]]:
    """Up to `size` pieces and their scores, the likeliest first; fewer if the text has no more."""
    from penjing.tokenizer.kinds.pruning import prune
    from penjing.tokenizer.kinds.seeds import find_seeds
    from penjing.tokenizer.kinds.words import numbered, row_of_words

    row = row_of_words(sample, config.split, config.han)
    characters, ends, weights = numbered(*row, alphabet)
    seeds = find_seeds(characters, ends, weights, alphabet, _SEEDS * size)
    kept, scores = prune(seeds, ends, weights, min(size, len(seeds.texts)), on_pieces)
    pieces = [(seeds.texts[n], score) for n, score in zip(kept, scores.tolist(), strict=True)]
    return sorted(pieces, key=lambda piece: (-piece[1], piece[0]))
