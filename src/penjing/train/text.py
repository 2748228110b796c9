"""A run's text: read and encoded for it, or encoded before and lying in shards."""

from collections.abc import Container, Iterator, Mapping
from itertools import compress
from pathlib import Path
from typing import Protocol

from penjing.core.errors import ConfigError
from penjing.core.events import Listener
from penjing.core.types import Document
from penjing.data.batches import Tokens, encode_documents
from penjing.data.documents import Split, split_documents
from penjing.data.hashing import text_hashes
from penjing.data.readers import read_documents
from penjing.data.shards.place import is_shards
from penjing.data.shards.reading import Shards
from penjing.data.splitting import unshared
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import DataConfig, PretrainConfig
from penjing.train.parallel.distributed import World
from penjing.train.run import Journal
from penjing.train.stored_text import StoredText, check_settings

PROBE = 100_000  # characters by which bytes per token are told


class RunText(Protocol):
    """What a run needs of its text."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The one that the text is bound to, if it is."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How much there is: documents, characters, bytes, those of each part, duplicates."""

    def texts(self) -> Iterator[str]:
        """Of the training documents, for a tokenizer to learn from."""

    def bytes_per_token(self, tokenizer: Tokenizer) -> float:
        """About how many, of the validation text."""

    def training(self, tokenizer: Tokenizer) -> Tokens:
        """The ids to train on."""

    def validation(self, tokenizer: Tokenizer) -> Tokens:
        """The ids to be judged by."""

    def cores(self) -> tuple[Container[bytes], Container[bytes]]:
        """The hashes of training and validation documents, without the white space around them."""

    def apart(self, training: Container[bytes], validation: Container[bytes]) -> "RunText":
        """The same beside another text of these hashes: nothing is trained on that either is
        judged by.

        Raises:
            DataError: nothing is left.
        """


def read_text(config: PretrainConfig, tell: Journal, world: World) -> RunText:
    """Read and split the text that `config.data` names, or open the shards; and tell what there is.

    Raises:
        DataError: it cannot be read, there is too little, or the shards are damaged.
        ConfigError: settings contradict the shards.
    """
    if (shards := _named_shards(config.data)) is not None:
        check_settings(config, shards)
    text = open_text(config.data, tell.emit, world)
    tell("data", **text.counts, sources=list(config.data.sources))
    return text


def open_text(data: DataConfig, listener: Listener, world: World) -> RunText:
    """The same of any text; of shards, all is as it was when they were made.

    Raises:
        DataError, ConfigError: as `read_text`.
    """
    shards = _named_shards(data)
    if shards is None:
        documents = read_documents(data.sources, listener=listener)
        split = split_documents(
            documents, validation_fraction=data.validation_fraction, exact=data.exact_split
        )
        return ReadText(split, len(documents))
    text = StoredText(shards)
    world.main_first(shards.verify)
    return text


def _named_shards(data: DataConfig) -> Shards | None:
    named = [source for source in data.sources if is_shards(source)]
    if not named:
        return None
    if len(data.sources) > 1:
        raise ConfigError(
            f"{named[0]} is a folder of shards, and a run reads one such folder and nothing else. "
            "Encode all of the text into one: penjing data encode"
        )
    return Shards(Path(named[0]))


class ReadText:
    """Documents in memory, encoded when the tokenizer is known.

    Args:
        n_documents: that were read, duplicates included.
    """

    tokenizer = None

    def __init__(self, split: Split, n_documents: int) -> None:
        self._split, self._n_documents = split, n_documents

    @property
    def counts(self) -> Mapping[str, int]:
        parts = self._split.train, self._split.validation
        train, validation = (sum(len(doc.text.encode()) for doc in part) for part in parts)
        return {
            "documents": self._n_documents,
            "characters": sum(len(doc.text) for part in parts for doc in part),
            "bytes": train + validation,
            "train_bytes": train,
            "validation_bytes": validation,
            "duplicates": self._split.duplicates,
        }

    def texts(self) -> Iterator[str]:
        return (document.text for document in self._split.train)

    def bytes_per_token(self, tokenizer: Tokenizer) -> float:
        probe = self._split.validation[0].text[:PROBE]
        return len(probe.encode()) / max(1, len(tokenizer.encode(probe)))

    def training(self, tokenizer: Tokenizer) -> Tokens:
        return encode_documents(self._split.train, tokenizer)

    def validation(self, tokenizer: Tokenizer) -> Tokens:
        return encode_documents(self._split.validation, tokenizer)

    def cores(self) -> tuple[Container[bytes], Container[bytes]]:
        return set(_cores(self._split.train)), set(_cores(self._split.validation))

    def apart(self, training: Container[bytes], validation: Container[bytes]) -> "ReadText":
        train, judged = (
            list(compress(part, unshared(_cores(part), held)))
            for part, held in (
                (self._split.train, validation),
                (self._split.validation, training),
            )
        )
        return ReadText(Split(train, judged, self._split.duplicates), self._n_documents)


def _cores(documents: list[Document]) -> list[bytes]:
    return [text_hashes(document.text)[1] for document in documents]
