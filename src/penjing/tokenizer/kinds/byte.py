"""Bytes: every text has tokens, and there is nothing to learn."""

from collections.abc import Iterable

from tokenizers import decoders, models, pre_tokenizers

from penjing.core.events import Listener
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.building import assemble, ids_of
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer


def train_byte(texts: Iterable[str], config: TokenizerConfig, tell: Listener) -> Tokenizer:
    """Bytes: id 0 to 255 is the byte itself, whatever the text.

    Raises:
        TokenizerError: a special token is a single character.
    """
    return assemble(
        models.BPE(vocab=ids_of(BYTE_TO_CHAR), merges=[]),
        decoders.ByteLevel(),
        config.special_tokens,
        pre_tokenizer=pre_tokenizers.ByteLevel(
            add_prefix_space=False, trim_offsets=False, use_regex=False
        ),
    )
