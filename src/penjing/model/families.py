"""The table of model families. A new one is one file, and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from penjing.core.table import Table
from penjing.model import hf_gpt2, hf_llama
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.gpt2 import GPT2
from penjing.model.hf import HuggingFace
from penjing.model.init import InitName, initialize
from penjing.model.llama import Llama


@dataclass(frozen=True)
class Family:
    """A way to build the model, and how Hugging Face writes the same thing."""

    build: Callable[[ModelConfig], LanguageModel]
    hf: HuggingFace


FAMILIES: Table[Family] = Table(
    "model family",
    {
        "gpt2": Family(GPT2, hf_gpt2.GPT2),
        "llama": Family(Llama, hf_llama.LLAMA),
        "qwen3": Family(Llama, hf_llama.QWEN3),
    },
)


def build_model(config: ModelConfig, *, seed: int = 0, init: InitName = "scaled") -> LanguageModel:
    """A new model with random weights; the same seed gives the same weights.

    Raises:
        ConfigError: sizes that do not fit together.
    """
    config = config.resolve()
    with torch.device("meta"):
        model = FAMILIES[config.family].build(config)
    model.to_empty(device="cpu")
    if config.tie_embeddings:  # to_empty gives each reference its own storage
        retie(model)
    initialize(model, init, torch.Generator().manual_seed(seed))
    return model


def retie(model: LanguageModel) -> None:
    """Make the head and the embedding table one tensor again."""
    embedding, head = model.get_submodule("embedding"), model.get_submodule("unembedding")
    assert isinstance(embedding, nn.Embedding) and isinstance(head, nn.Linear)
    head.weight = embedding.weight
