"""A torch model from stored weights."""

from collections.abc import Collection, Mapping

import torch

from penjing.model.activations import quantize_inputs
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import rebuild
from penjing.model.forms import FORMS
from penjing.model.tensors import import_tensors
from penjing.model.weights import Stored


def build(
    config: ModelConfig,
    weights: Mapping[str, Stored],
    rounded: Collection[str] = (),
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """The model in evaluation mode; see `Checkpoint.load_model`.

    `rounded` are the weights, by their names at Hugging Face, whose inputs are rounded to int8.

    Raises:
        CheckpointError: a weight is damaged, or only some that read one input have it rounded.
    """
    rules = FORMS[config.family].rules(config)
    state = import_tensors(weights, rules, dtype or torch.float32)
    if config.tie_embeddings:
        state["unembedding.weight"] = state["embedding.weight"]
    model = rebuild(config, state)
    dtype = dtype or state["embedding.weight"].dtype  # one for all, if a file mixes them
    quantize_inputs(model, rules, rounded)
    return model.to(device=device, dtype=dtype).eval().requires_grad_(False)
