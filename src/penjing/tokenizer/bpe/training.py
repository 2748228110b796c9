"""Byte-level byte-pair encoding from texts: a sample, its words, the merges, and the tokenizer."""

from collections.abc import Iterable

from tokenizers import decoders, models

from penjing.core.errors import TokenizerError
from penjing.core.events import Event, Listener
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.bpe.corpus import learn_steps
from penjing.tokenizer.bpe.learn import Step
from penjing.tokenizer.building import (
    assemble,
    check_sample,
    ids_of,
    no_text,
    reporter,
    too_few,
)
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.record import MergeRecord, TrainingRecord
from penjing.tokenizer.sample import draw_sample
from penjing.tokenizer.splits import encoding_splitter
from penjing.tokenizer.tokenizer import Tokenizer

N_BYTES = 256


def train_bpe(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """The most frequent pair of tokens is merged, again and again.

    Ids 0 to 255 are the bytes, 256 on the merges in the order learned, then the special tokens.
    The merges are those of the `tokenizers` library; `tokenizer.record` says how often each was
    found. Source: Sennrich et al., 2016 (BPE); Radford et al., 2019 (on bytes).

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or a size that cannot be had.
    """
    n_special = len(config.special_tokens)
    if config.vocab_size < N_BYTES + n_special:
        raise TokenizerError(
            f"A byte-level vocabulary holds the {N_BYTES} bytes and the special tokens "
            f"({n_special}): vocab_size must be at least {N_BYTES + n_special}, got "
            f"{config.vocab_size}."
        )
    check_sample(config.sample_bytes)
    sample = draw_sample(texts, config.sample_bytes, reporter(tell))
    if not sample.pieces:
        raise no_text()
    told = {"sampled": sample.sampled, "bytes": sample.n_bytes, "read": sample.n_read}

    def tell_tokens(tokens: int) -> None:
        tell(Event("tokenizer", {"phase": "merge", **told, "tokens": tokens + n_special}))

    tell_tokens(N_BYTES)
    wanted = config.vocab_size - n_special
    vocab, merges = numbered(learn_steps(sample, config.split, config.han, wanted, tell_tokens))
    if len(vocab) < wanted:
        raise too_few(config.vocab_size, len(vocab) + n_special, sampled=sample.sampled)
    tokenizer = assemble(
        models.BPE(
            vocab=ids_of(vocab),
            merges=[(vocab[merge.left], vocab[merge.right]) for merge in merges],
        ),
        decoders.ByteLevel(),
        config.special_tokens,
        pre_tokenizer=encoding_splitter(config.split),
    )
    tokenizer.record = TrainingRecord(merges, sample.n_bytes, sample.n_read)
    return tokenizer


def numbered(steps: Iterable[Step]) -> tuple[list[str], tuple[MergeRecord, ...]]:
    """The vocabulary that steps lead to, and its merges, by the ids of the vocabulary.

    A pair that was merged twice has the rank of the second time, as in `tokenizers`, whose table of
    ranks the later one overwrites. Two merges may give one token: it has the id of the first.
    """
    written = sorted(BYTE_TO_CHAR)  # by `learn`'s ids
    latest: dict[tuple[int, int], Step] = {}
    for step in steps:
        if step.result == len(written):
            written.append(written[step.left] + written[step.right])
        latest.pop(step[:2], None)
        latest[step[:2]] = step
    vocab = list(
        dict.fromkeys([*BYTE_TO_CHAR, *(written[step.result] for step in latest.values())])
    )
    ids = ids_of(vocab)
    merges = [
        MergeRecord(rank, left, right, result, step.times)
        for rank, step in enumerate(latest.values())
        for left, right, result in [[ids[written[id]] for id in step[:3]]]
    ]
    return vocab, tuple(merges)
