"""The table of model families. A new one is one file, and one line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from penjing.core.table import Table
from penjing.model import hf_gpt2, hf_llama
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.gpt2 import GPT2
from penjing.model.init import InitName, initialize
from penjing.model.llama import Llama
from penjing.model.weights import Rule


@dataclass(frozen=True)
class Family:
    """A way to build the model, and how Hugging Face names the same thing."""

    build: Callable[[ModelConfig], LanguageModel]
    architecture: str  # Hugging Face's class
    native: Callable[[ModelConfig], bool]  # whether that class computes the same
    to_config: Callable[[ModelConfig], dict[str, Any]]
    from_config: Callable[[Mapping[str, Any]], ModelConfig]
    rules: Callable[[ModelConfig], list[Rule]]
    canonical: Callable[[str], str]  # an older tensor name -> today's
    ignore: tuple[str, ...]  # endings of tensor names that carry nothing
    expected: Mapping[str, tuple[Any, ...]]  # config.json values without which ours would differ


def _llama(architecture: str) -> Family:
    return Family(
        build=Llama,
        architecture=architecture,
        native=hf_llama.native,
        to_config=hf_llama.to_config,
        from_config=hf_llama.from_config,
        rules=hf_llama.rules,
        canonical=hf_llama.canonical,
        ignore=hf_llama.IGNORE,
        expected=hf_llama.EXPECTED,
    )


FAMILIES: Table[Family] = Table(
    "model family",
    {
        "gpt2": Family(
            build=GPT2,
            architecture="GPT2LMHeadModel",
            native=hf_gpt2.native,
            to_config=hf_gpt2.to_config,
            from_config=hf_gpt2.from_config,
            rules=hf_gpt2.rules,
            canonical=hf_gpt2.canonical,
            ignore=hf_gpt2.IGNORE,
            expected=hf_gpt2.EXPECTED,
        ),
        "llama": _llama("LlamaForCausalLM"),
        "qwen3": _llama("Qwen3ForCausalLM"),
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
