"""A run's text that was split and encoded before, and lies in shards."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import ConfigError, DataError
from penjing.data.batches import StoredIds, Tokens
from penjing.data.hashing import BYTES
from penjing.data.shards.index import SplitIndex
from penjing.data.shards.reading import ShardedIds, Shards
from penjing.data.shards.selection import SelectedIds
from penjing.data.splitting import unshared
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import DataConfig, PretrainConfig
from penjing.train.parent import other_tokenizer


@dataclass(frozen=True)
class _Part:
    """The training or the validation part, or some documents of it."""

    shards: Shards
    ids: ShardedIds
    index: SplitIndex
    chosen: NDArray[np.bool_] | None = None  # (D,) None: all

    def tokens(self) -> Tokens:
        """As `encode_documents` would make them of the text."""
        if self.chosen is None:
            return Tokens(StoredIds(self.ids), self.index.bytes, self.index.documents)
        table = self.shards.documents(self.index)
        ids = SelectedIds(self.ids, table["end"], self.chosen)
        n_bytes = int(table["n_bytes"][self.chosen].sum())
        return Tokens(StoredIds(ids), n_bytes, int(self.chosen.sum()))

    def cores(self) -> list[bytes]:
        """Of each document; that of a part of one is not known, and is zeros."""
        raw = self.shards.documents(self.index)["core"].tobytes()
        return [raw[at : at + BYTES] for at in range(0, len(raw), BYTES)]

    def known(self) -> set[bytes]:
        return set(self.cores()) - {bytes(BYTES)}

    def without(self, held: Container[bytes]) -> "_Part":
        return _Part(self.shards, self.ids, self.index, unshared(self.cores(), held))


class StoredText:
    """Ids in shards, read as they are needed.

    Raises:
        ConfigError: they have no validation part.
        DataError: the tokenizer beside them is another.
    """

    def __init__(self, shards: Shards) -> None:
        index = shards.index
        if not index.validation.tokens:
            raise ConfigError(
                f"The shards in {shards.folder} have no validation part, and a run is judged by "
                "text that it did not see. Encode the text with a --validation-fraction above 0."
            )
        self._shards = shards
        self._train = _Part(shards, shards.train, index.train)
        self._validation = _Part(shards, shards.validation, index.validation)
        self.tokenizer: Tokenizer | None = shards.tokenizer
        self.counts = {
            "documents": index.documents,
            "characters": index.characters,
            "bytes": index.train.bytes + index.validation.bytes,
            "train_bytes": index.train.bytes,
            "validation_bytes": index.validation.bytes,
            "duplicates": index.duplicates,
        }

    def texts(self) -> Iterator[str]:
        raise ConfigError(
            f"{self._shards.folder} holds ids, from which no tokenizer can learn new tokens "
            "(start.new_tokens). Name the text itself in data.sources."
        )

    def bytes_per_token(self, tokenizer: Tokenizer) -> float:
        split = self._shards.index.validation
        return split.bytes / max(1, split.tokens)

    def training(self, tokenizer: Tokenizer) -> Tokens:
        self._belong_to(tokenizer)
        return self._train.tokens()

    def validation(self, tokenizer: Tokenizer) -> Tokens:
        self._belong_to(tokenizer)
        return self._validation.tokens()

    def cores(self) -> tuple[Container[bytes], Container[bytes]]:
        return self._train.known(), self._validation.known()

    def apart(self, training: Container[bytes], validation: Container[bytes]) -> "StoredText":
        text = StoredText(self._shards)
        text._train = self._train.without(validation)
        text._validation = self._validation.without(training)
        return text

    def _belong_to(self, tokenizer: Tokenizer) -> None:
        """Raises DataError if the ids are those of another tokenizer."""
        index = self._shards.index
        if tokenizer.fingerprint != index.tokenizer:
            raise DataError(
                f"The shards in {self._shards.folder} were made with another tokenizer than the "
                f"model's: SHA-256 {index.tokenizer[:12]} with {index.vocab_size:,} tokens, the "
                f"model's {tokenizer.fingerprint[:12]} with {tokenizer.vocab_size:,}. Their ids "
                "mean other pieces of text to it. Encode the text again: penjing data encode "
                "SOURCES --tokenizer MODEL --out NEW"
            )


def check_settings(config: PretrainConfig, shards: Shards) -> None:
    """Raises ConfigError for settings that were named, and are not those of the shards."""
    index, data = shards.index, config.data
    differing = []
    if not config.start.model:
        differing += other_tokenizer(config.tokenizer, shards.tokenizer)
    if data.validation_fraction not in (DataConfig.validation_fraction, index.validation_fraction):
        differing.append(
            f"data.validation_fraction = {data.validation_fraction} "
            f"(there {index.validation_fraction})"
        )
    if data.exact_split and not index.exact_split:
        differing.append("data.exact_split = True (there False)")
    if differing:
        raise ConfigError(
            f"{', '.join(differing)}: not those that the shards in {shards.folder} were made with. "
            "Leave these settings out, or encode the text anew with others."
        )
