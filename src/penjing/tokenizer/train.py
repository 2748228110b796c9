"""A vocabulary from a text: one function a kind, and one line in `KINDS`."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from penjing.core.errors import TokenizerError
from penjing.core.events import Event, Listener
from penjing.core.table import Table
from penjing.tokenizer.alphabet import BYTE_TO_CHAR, require_unicode
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.sample import sample_texts
from penjing.tokenizer.splits import encoding_splitter, training_splitter
from penjing.tokenizer.tokenizer import Tokenizer

UNKNOWN = "<unk>"
_REPORT_EVERY = 1 << 22  # bytes read between two progress events


def train_tokenizer(
    texts: Iterable[str], config: TokenizerConfig, progress: Listener | None = None
) -> Tokenizer:
    """Make a vocabulary of the texts. The same texts and settings give the same tokenizer.

    `progress` hears events of kind "tokenizer": {"phase": "read", "bytes": n} now and then, for
    "bpe" {"phase": "merge", "sampled": bool}, and at last {"phase": "done", "vocab_size": n}.

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or a size that cannot be had.
        ConfigError: an unknown kind or split rule.
    """
    _check_special(config.special_tokens)
    tell = progress or (lambda event: None)
    tokenizer = KINDS[config.kind].train(texts, config, tell)
    tell(Event("tokenizer", {"phase": "done", "vocab_size": tokenizer.vocab_size}))
    return tokenizer


def train_bpe(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Byte-level byte-pair encoding: the most frequent pair of tokens is merged, again and again.

    Ids 0 to 255 are the bytes, 256 on the merges in the order learned, then the special tokens.
    Source: Sennrich et al., 2016 (BPE); Radford et al., 2019 (on bytes).
    """
    n_special = len(config.special_tokens)
    if config.vocab_size < 256 + n_special:
        raise TokenizerError(
            f"A byte-level vocabulary holds the 256 bytes and {n_special} special tokens: "
            f"vocab_size must be at least {256 + n_special}, got {config.vocab_size}."
        )
    if config.sample_bytes < 1:
        raise TokenizerError(f"sample_bytes must be at least 1, got {config.sample_bytes}.")
    sample, sampled = sample_texts(texts, config.sample_bytes, _reporter(tell))
    if not sample:
        raise _no_text()
    tell(Event("tokenizer", {"phase": "merge", "sampled": sampled}))

    backend = Backend(models.BPE())
    backend.pre_tokenizer = training_splitter(config.split, config.han)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - n_special,
        initial_alphabet=list(BYTE_TO_CHAR),
        show_progress=False,
    )
    backend.train_from_iterator(sample, trainer)
    merges = [(left, right) for left, right in json.loads(backend.to_str())["model"]["merges"]]
    # Two merges may give one token ("ab" + "c", "a" + "bc"): it has the id of the first.
    vocab = list(dict.fromkeys([*BYTE_TO_CHAR, *(left + right for left, right in merges)]))
    size = len(vocab) + n_special
    if size < config.vocab_size:
        raise TokenizerError(
            f"The vocabulary is larger than the text allows: asked {config.vocab_size}, this text "
            f"gives at most {size}. Choose vocab_size {size} or less, or give more text"
            + (" (or a larger sample_bytes)." if sampled else ".")
        )
    return _assemble(
        models.BPE(vocab=_ids(vocab), merges=merges),
        encoding_splitter(config.split),
        decoders.ByteLevel(),
        config.special_tokens,
    )


def train_char(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Characters: one token for each that the text holds, in code point order.

    Any other character becomes `<unk>`, and is lost.
    """
    seen: set[str] = set()
    n_read, report = 0, _reporter(tell)
    for text in texts:
        require_unicode(text)
        seen.update(text)
        n_read += len(text.encode("utf-8"))
        report(n_read)
    if not seen:
        raise _no_text()
    special = (UNKNOWN, *(token for token in config.special_tokens if token != UNKNOWN))
    vocab = [*sorted(seen), UNKNOWN]
    # BPE without merges: a character a token, without a regular expression over the text.
    model = models.BPE(vocab=_ids(vocab), merges=[], unk_token=UNKNOWN, fuse_unk=False)
    return _assemble(model, None, decoders.Fuse(), special, eos=config.special_tokens[:1])


def train_byte(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Bytes: id 0 to 255 is the byte itself, whatever the text."""
    return _assemble(
        models.BPE(vocab=_ids(BYTE_TO_CHAR), merges=[]),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        decoders.ByteLevel(),
        config.special_tokens,
    )


@dataclass(frozen=True)
class Kind:
    """One kind of tokenizer and what it promises."""

    train: Callable[[Iterable[str], TokenizerConfig, Listener], Tokenizer]
    lossless: bool  # decode(encode(text)) is the text, whatever the text


KINDS: Table[Kind] = Table(
    "tokenizer kind",
    {
        "bpe": Kind(train_bpe, lossless=True),
        "char": Kind(train_char, lossless=False),
        "byte": Kind(train_byte, lossless=True),
    },
)


def _assemble(
    model: models.Model,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
    decoder: decoders.Decoder,
    special_tokens: Sequence[str],
    eos: Sequence[str] | None = None,
) -> Tokenizer:
    """The parts as one tokenizer; special tokens that are not in the model come last."""
    backend = Backend(model)
    for token in special_tokens:
        if token != UNKNOWN and backend.token_to_id(token) is not None:
            raise TokenizerError(
                f"The special token {token!r} is an ordinary token of this vocabulary too. "
                "Choose a text that cannot be met by chance, such as <|name|>."
            )
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoder
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in special_tokens])
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": next(iter(special_tokens if eos is None else eos), None),
        "unk_token": UNKNOWN if UNKNOWN in special_tokens else None,
        "clean_up_tokenization_spaces": False,
    }
    return Tokenizer(backend.to_str(pretty=True), settings)


def _check_special(tokens: Sequence[str]) -> None:
    if len(set(tokens)) < len(tokens) or not all(tokens):
        raise TokenizerError(f"Special tokens must differ and not be empty, got {list(tokens)}.")
    for token in tokens:
        require_unicode(token)


def _ids(tokens: Iterable[str]) -> dict[str, int]:
    return {token: id for id, token in enumerate(tokens)}


def _no_text() -> TokenizerError:
    return TokenizerError("There is no text to train a tokenizer on: all documents are empty.")


def _reporter(tell: Listener) -> Callable[[int], None]:
    """A function that is told the bytes read so far, and passes some of it on as events."""
    last = 0

    def report(n_read: int) -> None:
        nonlocal last
        if n_read - last >= _REPORT_EVERY:
            last = n_read
            tell(Event("tokenizer", {"phase": "read", "bytes": n_read}))

    return report
