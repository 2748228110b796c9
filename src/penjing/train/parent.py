"""A model to go on from: opened, held against the run's settings, and made ready to be trained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from penjing.core.errors import CheckpointError, ConfigError
from penjing.formats.opening import open_checkpoint
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import rebuild
from penjing.model.tensor_files import read_json
from penjing.model.vocabulary import extend_vocabulary
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.extend import Extension, extend_tokenizer
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import PretrainConfig

POSITIONS = "position.table.weight"  # learned ones: (T, C)
FREE = ("dropout", "rope_scaling")  # settings of a model that its weights do not fix


@dataclass(frozen=True)
class Origin:
    """What a run's checkpoints tell of where its first weights came from; nothing, if from scratch.

    It lies in these checkpoints too: a resumed run does not look for the parent again.
    """

    lineage: tuple[Lineage, ...] = ()  # the parent's
    parent: str | None = None  # SHA-256 of its weights
    generation: Mapping[str, Any] = field(default_factory=dict)  # its generation_config.json

    @classmethod
    def of_run(cls, checkpoint: Checkpoint) -> "Origin":
        """The origin of a run, from one of its checkpoints."""
        *past, own = checkpoint.lineage
        return cls(tuple(past), own.parent, checkpoint.generation if own.parent else {})


@dataclass(frozen=True)
class Parent:
    """A model to go on from, whose settings are known to fit the run's."""

    checkpoint: Checkpoint
    shape: ModelConfig  # of the model to train: its sizes, with the run's context and dropout
    vocabulary: Extension  # its tokenizer, with new tokens if any are wanted

    @property
    def origin(self) -> Origin:
        """For the lineage."""
        checkpoint = self.checkpoint
        return Origin(checkpoint.lineage, checkpoint.digest, checkpoint.generation)

    def learn_tokens(self, texts: Iterable[str], config: PretrainConfig) -> "Parent":
        """The same with `start.new_tokens` more tokens learned from the texts.

        Raises:
            TokenizerError: its tokenizer cannot be extended, or the texts give fewer tokens.
        """
        if not config.start.new_tokens:
            return self
        vocabulary = extend_tokenizer(
            self.checkpoint.tokenizer,
            texts,
            config.start.new_tokens,
            han=config.tokenizer.han,
            sample_bytes=config.tokenizer.sample_bytes,
        )
        size = max(self.shape.vocab_size, vocabulary.tokenizer.vocab_size)
        return replace(self, vocabulary=vocabulary, shape=replace(self.shape, vocab_size=size))

    def model(self, *, device: torch.device, dtype: torch.dtype) -> LanguageModel:
        """Its weights, ready to be trained, with rows for the new tokens.

        Raises:
            CheckpointError: the weights are missing, damaged, or in a form that is not trained.
        """
        state = self.checkpoint.load_model(dtype=torch.float32).state_dict()
        if POSITIONS in state:
            state[POSITIONS] = state[POSITIONS][: self.shape.context_length].clone()
        model = rebuild(replace(self.shape, vocab_size=self.checkpoint.config.vocab_size), state)
        if self.vocabulary.pieces:
            model = extend_vocabulary(model, self.vocabulary.first, self.vocabulary.pieces)
        return model.to(device=device, dtype=dtype).requires_grad_(True)


def begin(config: PretrainConfig) -> Parent:
    """Open the model that `start.model` names, before any text is read.

    The quantized weights of a GGUF file are trained as the numbers that they stand for.

    Raises:
        CheckpointError: it is missing, damaged, quantized, or of a form unknown to us.
        TokenizerError: its tokenizer is missing or damaged.
        ConfigError: settings of the model or the tokenizer contradict it.
    """
    checkpoint = open_checkpoint(config.start.model)
    settings = checkpoint.path / "config.json"
    if settings.is_file() and read_json(settings).get("quantization_config"):
        raise CheckpointError(
            f"{checkpoint.path} holds quantized weights, which cannot be trained. Go on from the "
            "model that it was made of."
        )
    checkpoint.weights()  # complete, and as config.json says
    differing = _differing(config, checkpoint)
    if differing:
        said = any(name.startswith("model.context_length") for name in differing)
        context = " Another context is start.context_length." if said else ""
        raise ConfigError(
            f"{', '.join(differing)}: not those of {checkpoint.path}. A model that is trained "
            "further keeps its sizes and its tokenizer: leave these settings out." + context
        )
    tokenizer = checkpoint.tokenizer
    vocabulary = Extension(tokenizer, tokenizer.vocab_size, ())
    return Parent(checkpoint, _shape(config, checkpoint.config), vocabulary)


def _differing(config: PretrainConfig, checkpoint: Checkpoint) -> list[str]:
    """Settings that were named (they are not the defaults), and are not the checkpoint's."""
    theirs = {f.name: getattr(checkpoint.config, f.name) for f in fields(ModelConfig)}
    sizes = {k: theirs[k] for k in theirs if k not in FREE}
    return [
        *_other("model", config.model, ModelConfig(), sizes),
        *other_tokenizer(config.tokenizer, checkpoint.tokenizer),
    ]


def other_tokenizer(asked: TokenizerConfig, tokenizer: Tokenizer) -> list[str]:
    """Settings of a tokenizer that were named, and are not those of the one that is there."""
    theirs = {
        "kind": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "split": tokenizer.split,
        "special_tokens": tuple(tokenizer.special_tokens),
    }
    return _other("tokenizer", asked, TokenizerConfig(), theirs)


def _other(part: str, asked: Any, default: Any, theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{part}.{name} = {getattr(asked, name)!r} (there {value!r})"
        for name, value in theirs.items()
        if getattr(asked, name) not in (getattr(default, name), value)
    ]


def _shape(config: PretrainConfig, theirs: ModelConfig) -> ModelConfig:
    length = config.start.context_length or theirs.context_length
    if theirs.position == "learned" and length > theirs.context_length:
        raise ConfigError(
            f"start.context_length is {length}, but the model has learned positions, a table of "
            f"{theirs.context_length}: it has none for what lies beyond. Choose "
            f"{theirs.context_length} or less, or a model with another position encoding."
        )
    shape = replace(theirs, context_length=length)
    scaling = config.model.rope_scaling
    if scaling not in ("none", theirs.rope_scaling):
        if length <= theirs.context_length:
            raise ConfigError(
                f"model.rope_scaling {scaling!r} stretches RoPE to a longer context: name it with "
                f"start.context_length, above {theirs.context_length}."
            )
        shape = theirs.with_context(length, scaling)
    return replace(shape, dropout=config.model.dropout).resolve()
