"""The table of model families, as torch modules. A new one is one file, and one line here."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from penjing.core.errors import ConfigError
from penjing.core.table import Table
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig, RopeScalingName
from penjing.model.gpt2 import GPT2
from penjing.model.init import InitName, initialize
from penjing.model.llama import Llama
from penjing.model.recurrent import LSTM, RNN

FAMILIES: Table[Callable[[ModelConfig], LanguageModel]] = Table(
    "model family",
    {
        "gpt2": GPT2,
        "llama": Llama,
        "qwen3": Llama,
        "rnn": RNN,
        "lstm": LSTM,
    },
)


def build_model(config: ModelConfig, *, seed: int = 0, init: InitName = "scaled") -> LanguageModel:
    """A new model with random weights; the same seed gives the same weights.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    config = config.resolve()
    shapes = skeleton(config).state_dict()
    model = rebuild(config, {name: torch.empty(t.shape) for name, t in shapes.items()})
    initialize(model, init, torch.Generator().manual_seed(seed))
    return model


def skeleton(config: ModelConfig) -> LanguageModel:
    """A model's shapes, without memory for them.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    config = config.resolve()
    with torch.device("meta"), _NoInit():
        return FAMILIES[config.family](config)


class _NoInit(TorchFunctionMode):
    """torch's modules do not fill their weights: what has no memory needs no values.

    Asked to all the same, torch would load the Python forms of all its operations: a second or two.
    """

    FILLING = ("fill_", "normal_", "uniform_", "zero_")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        place, name = getattr(func, "__module__", None), getattr(func, "__name__", None)
        if place == "torch.nn.init" or name in self.FILLING:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def rebuild(config: ModelConfig, state: Mapping[str, Tensor]) -> LanguageModel:
    """The model of `config` around weights that are there already; nothing is copied.

    Raises:
        RuntimeError: names or shapes do not fit.
    """
    model = skeleton(config)
    model.load_state_dict(dict(state), assign=True)
    if config.tie_embeddings:
        retie(model)
    return model


def with_context(
    model: LanguageModel, context_length: int, scaling: RopeScalingName = "none"
) -> LanguageModel:
    """The same weights, shared and not copied, to be evaluated at another length.

    `scaling` says how RoPE is stretched from the trained length to the new one; "none" goes beyond
    it as it is.

    Raises:
        ConfigError: the model has learned positions, or a scaling is asked for without RoPE.
    """
    config = model.config.with_context(context_length, scaling)
    if config.position == "learned" and context_length != model.config.context_length:
        raise ConfigError(
            f"Learned positions are a table of {model.config.context_length} vectors: they have no "
            f"context of {context_length}. Train with another model.context_length or "
            "model.position."
        )
    return rebuild(config, model.state_dict()).eval().requires_grad_(False)


def retie(model: LanguageModel) -> None:
    """Make the head and the embedding table one tensor again."""
    embedding, head = model.get_submodule("embedding"), model.get_submodule("unembedding")
    assert isinstance(embedding, nn.Embedding) and isinstance(head, nn.Linear)
    head.weight = embedding.weight
