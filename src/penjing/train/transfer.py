"""What a run that goes on from a model has besides its own text: replay, and what is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from penjing.core.config import from_dict
from penjing.core.errors import ConfigError, DataError
from penjing.data.batches import RandomWindows, Tokens, Windows
from penjing.data.mixture import MixedWindows
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
    open_text: Callable[[DataConfig], RunText],
) -> Transfer:
    """Read the replay text, and what else the model is to be measured on.

    Args:
        new: the run's own text; `validation` are the tokens of its validation part.
        open_text: opens another text.

    Raises:
        DataError: `start.replay` cannot be read, or has too little text.
        ConfigError: it names shards that cannot be used.
    """
    texts = {f"new: {_names(config.data)}": validation}
    data, note = _general(config, origin)
    if data is None:
        return Transfer(origin, None, texts, note)
    replay = None
    try:
        general = open_text(data).apart(*new.cores())
        texts[f"general: {_names(data)}"] = general.validation(tokenizer)
        if config.start.replay and config.start.replay_fraction:
            replay = general.training(tokenizer)
    except (DataError, ConfigError) as error:
        if config.start.replay:
            raise
        note = f"The text that the model was trained on before cannot be measured: {error}"
    return Transfer(origin, replay, texts, note)


def _general(config: PretrainConfig, origin: Origin) -> tuple[DataConfig | None, str]:
    """Where the replay text lies; without it that of the parent's own run, or a note why there is
    none.

    Sources that the parent was trained on are split as they were then, so that the validation part
    is one that it has not seen.
    """
    data = _data_of(origin.lineage)
    replay = config.start.replay
    if replay and not (data and replay == data.sources):
        data = DataConfig(replay, config.data.validation_fraction)
    if data is None or (not replay and "-" in data.sources):
        return None, "It is not known what text the model was trained on before."
    if not replay and data.sources == config.data.sources:
        return None, ""  # the new text is the old one
    return data, ""


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
