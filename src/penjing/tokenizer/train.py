"""A vocabulary from a text: one function a kind, and one line in `KINDS`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penjing.core.events import Event, Listener
from penjing.core.table import Table
from penjing.tokenizer.bpe.training import train_bpe
from penjing.tokenizer.building import check_special
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.kinds.byte import train_byte
from penjing.tokenizer.kinds.char import train_char
from penjing.tokenizer.kinds.unigram import train_unigram
from penjing.tokenizer.kinds.wordpiece import train_wordpiece
from penjing.tokenizer.tokenizer import Tokenizer


def train_tokenizer(
    texts: Iterable[str], config: TokenizerConfig, progress: Listener | None = None
) -> Tokenizer:
    """Make a vocabulary of the texts. The same texts and settings give the same tokenizer.

    `progress` hears events of kind "tokenizer": {"phase": "read", "bytes": n} now and then, for
    kinds that learn {"phase": "merge", "sampled": bool, "bytes": n, "read": n, "tokens": n}, where
    the sample has `bytes` of those that were `read`, and at last {"phase": "done",
    "vocab_size": n}.

    Raises:
        TokenizerError: no text, text that is not valid Unicode, or a size that cannot be had.
        ConfigError: an unknown kind or split rule.
    """
    check_special(config.special_tokens)
    tell = progress or (lambda event: None)
    tokenizer = KINDS[config.kind].train(texts, config, tell)
    tell(Event("tokenizer", {"phase": "done", "vocab_size": tokenizer.vocab_size}))
    return tokenizer


@dataclass(frozen=True)
class Kind:
    """One kind of tokenizer and what it promises."""

    train: Callable[[Iterable[str], TokenizerConfig, Listener], Tokenizer]
    lossless: bool  # decode(encode(text)) is the text, whatever the text


KINDS: Table[Kind] = Table(
    "tokenizer kind",
    {
        "bpe": Kind(train_bpe, lossless=True),
        "wordpiece": Kind(train_wordpiece, lossless=False),
        "unigram": Kind(train_unigram, lossless=True),
        "char": Kind(train_char, lossless=False),
        "byte": Kind(train_byte, lossless=True),
    },
)
