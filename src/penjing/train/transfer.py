"""What a run that goes on from a model has besides its own text: replay, and what is measured."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial

from penjing.core.config import from_dict
from penjing.core.errors import ConfigError, DataError
from penjing.core.events import Listener
from penjing.core.types import Document
from penjing.data.batches import RandomWindows, Tokens, Windows, encode_documents
from penjing.data.documents import Split, split_documents
from penjing.data.hashing import text_hashes
from penjing.data.mixture import MixedWindows
from penjing.data.readers import read_documents
from penjing.data.shards.place import is_shards
from penjing.model.checkpoint import Lineage
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import DataConfig, PretrainConfig
from penjing.train.parent import Origin
from penjing.train.text import RunText


@dataclass(frozen=True)
class Transfer:
    """What a run that goes on from a model has besides its own text."""

    origin: Origin
    replay: Tokens | None  # to mix in
    texts: Mapping[str, Tokens]  # by name: on which the model is measured before and after
    note: str  # why there is no general text among them

    def windows(self, config: PretrainConfig) -> Callable[..., Windows]:
        """What makes the curriculum's batches: of the new text alone, or with replay."""
        if self.replay is None:
            return RandomWindows
        return partial(MixedWindows, self.replay, config.start.replay_fraction)


def transfer(
    config: PretrainConfig,
    origin: Origin,
    new: RunText,
    validation: Tokens,
    tokenizer: Tokenizer,
    listener: Listener | None = None,
) -> Transfer:
    """Read the replay text, and what else the model is to be measured on.

    Args:
        new: the run's own text; `validation` are the tokens of its validation part.

    Raises:
        DataError: `start.replay` cannot be read, or has too little text.
    """
    data, general, note = _general_text(config, origin, new, listener)
    replay = None
    texts = {f"new: {_names(config.data)}": validation}
    if data and general:
        texts[f"general: {_names(data)}"] = encode_documents(general.validation, tokenizer)
        if config.start.replay and config.start.replay_fraction:
            replay = encode_documents(general.train, tokenizer)
    return Transfer(origin, replay, texts, note)


def _general_text(
    config: PretrainConfig, origin: Origin, new: RunText, listener: Listener | None
) -> tuple[DataConfig | None, Split | None, str]:
    """The replay text; without it that of the parent's own run, or a note why there is none.

    Sources that the parent was trained on are split as they were then, so that the validation part
    is one that it has not seen. What the new text holds too is left out on the other side.
    """
    data = _data_of(origin.lineage)
    replay = config.start.replay
    if replay and not (data and replay == data.sources):
        data = DataConfig(replay, config.data.validation_fraction)
    if data is None or (not replay and "-" in data.sources):
        return None, None, "It is not known what text the model was trained on before."
    if not replay and data.sources == config.data.sources:
        return None, None, ""  # the new text is the old one
    if any(map(is_shards, data.sources)):
        if replay:
            raise ConfigError(
                f"start.replay names shards ({', '.join(replay)}): only text can be held against "
                "the new text and mixed in. Name the text that they were made of."
            )
        return None, None, "The model was trained on shards before: name text as start.replay."
    try:
        documents = read_documents(data.sources, listener=listener)
        split = split_documents(
            documents, validation_fraction=data.validation_fraction, exact=data.exact_split
        )
        return data, _apart(split, new), ""
    except DataError as error:
        if replay:
            raise
        return None, None, f"The text that the model was trained on before is not there: {error}"


def _names(data: DataConfig) -> str:
    return ", ".join(data.sources)


def _data_of(lineage: tuple[Lineage, ...]) -> DataConfig | None:
    """The text of the last training run among these operations."""
    for line in reversed(lineage):
        if line.operation == "pretrain":
            try:
                return from_dict(DataConfig, line.settings["data"], where="lineage")
            except (KeyError, TypeError, ConfigError):
                return None
    return None


def _apart(general: Split, new: RunText) -> Split:
    """Nothing is trained on that the other text is judged by.

    Raises:
        DataError: nothing is left.
    """
    training_cores, validation_cores = new.cores()
    train = _without(general.train, validation_cores)
    validation = _without(general.validation, training_cores)
    if not train or not validation:
        raise DataError("The general text has nothing that the new text does not hold too.")
    return Split(train, validation, general.duplicates)


def _without(documents: list[Document], cores: Container[bytes]) -> list[Document]:
    return [doc for doc in documents if text_hashes(doc.text)[1] not in cores]


def comparison(
    before: Mapping[str, float], after: Mapping[str, float]
) -> list[dict[str, str | float]]:
    """The rows of the "transfer" event: bits per byte of each text, before and after the run.

    A text that is no longer there, after a resume, is left out.
    """
    return [
        {"text": text, "before": before[text], "after": after[text]}
        for text in before
        if text in after
    ]
