"""A run's text: read and encoded for it, or encoded before and lying in shards."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Protocol

from penjing.core.errors import ConfigError, DataError
from penjing.data.batches import Tokens, encode_documents, stored_tokens
from penjing.data.documents import Split, split_documents
from penjing.data.hashing import text_hashes
from penjing.data.readers import read_documents
from penjing.data.shards.place import is_shards
from penjing.data.shards.reading import Shards
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import DataConfig, PretrainConfig
from penjing.train.parallel.distributed import World
from penjing.train.parent import other_tokenizer
from penjing.train.run import Journal

PROBE = 100_000  # characters by which bytes per token are told


class RunText(Protocol):
    """What a run needs of its text."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The one that the text is bound to, if it is."""

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


def read_text(config: PretrainConfig, tell: Journal, world: World) -> RunText:
    """Read and split the text that `config.data` names; or open the shards that it names.

    Raises:
        DataError: it cannot be read, there is too little, or the shards are damaged.
        ConfigError: settings contradict the shards.
    """
    shards = [source for source in config.data.sources if is_shards(source)]
    if not shards:
        return ReadText.read(config.data, tell)
    if len(config.data.sources) > 1:
        raise ConfigError(
            f"{shards[0]} is a folder of shards, and a run reads one such folder and nothing else. "
            "Encode all of the text into one: penjing data encode"
        )
    return StoredText.open(config, shards[0], tell, world)


class ReadText:
    """Documents in memory, encoded when the tokenizer is known."""

    tokenizer = None

    def __init__(self, split: Split) -> None:
        self._split = split

    @classmethod
    def read(cls, data: DataConfig, tell: Journal) -> "ReadText":
        """From the sources, and tell what there is."""
        documents = read_documents(data.sources, listener=tell.emit)
        split = split_documents(
            documents, validation_fraction=data.validation_fraction, exact=data.exact_split
        )
        sizes = {
            name: sum(len(d.text.encode()) for d in part)
            for name, part in (("train", split.train), ("validation", split.validation))
        }
        tell(
            "data",
            documents=len(documents),
            characters=sum(len(d.text) for d in documents),
            bytes=sum(sizes.values()),
            train_bytes=sizes["train"],
            validation_bytes=sizes["validation"],
            duplicates=split.duplicates,
            sources=list(data.sources),
        )
        return cls(split)

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
        train, validation = (
            {text_hashes(document.text)[1] for document in part}
            for part in (self._split.train, self._split.validation)
        )
        return train, validation


class StoredText:
    """Ids in shards, split and encoded before; read as they are needed."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self.tokenizer: Tokenizer | None = shards.tokenizer

    @classmethod
    def open(cls, config: PretrainConfig, source: str, tell: Journal, world: World) -> "StoredText":
        """Verify the shards once, and tell what there is."""
        shards = Shards(Path(source))
        _check(config, shards)
        world.main_first(shards.verify)
        index = shards.index
        tell(
            "data",
            documents=index.documents,
            characters=index.characters,
            bytes=index.train.bytes + index.validation.bytes,
            train_bytes=index.train.bytes,
            validation_bytes=index.validation.bytes,
            duplicates=index.duplicates,
            sources=list(config.data.sources),
        )
        return cls(shards)

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
        return stored_tokens(self._shards.train, self._shards.index.train)

    def validation(self, tokenizer: Tokenizer) -> Tokens:
        self._belong_to(tokenizer)
        return stored_tokens(self._shards.validation, self._shards.index.validation)

    def cores(self) -> tuple[Container[bytes], Container[bytes]]:
        index = self._shards.index
        train, validation = (
            set(self._shards.documents(split)["core"].astype("V16").tolist())
            for split in (index.train, index.validation)
        )
        return train, validation

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


def _check(config: PretrainConfig, shards: Shards) -> None:
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
    if not index.validation.tokens:
        raise ConfigError(
            f"The shards in {shards.folder} have no validation part, and a run is judged by text "
            "that it did not see. Encode the text with a --validation-fraction above 0."
        )
