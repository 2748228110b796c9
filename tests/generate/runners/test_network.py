"""Checkpoints through the kernels, held against our own torch models of the same weights."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.generate.runners.network import build_network, kernels_fit
from penjing.kernels.features import candidates, isa
from penjing.kernels.program import Program
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.forms import FORMS
from penjing.model.positions import POSITIONS
from penjing.model.tensors import export_tensors, import_tensors, to_array
from penjing.quantization.tensor import QuantizedTensor

ODD: dict[str, dict[str, Any]] = {
    "llama": {"n_embd": 48, "n_head": 4, "n_kv_head": 1, "head_dim": 20, "n_inner": 100},
    "qwen3": {"n_embd": 64, "n_head": 4, "n_kv_head": 2, "head_dim": 32, "n_inner": 90},
    "gpt2": {"n_embd": 60, "n_head": 3},
}


class InMemory:
    """As a `Checkpoint` is to the kernels."""

    path = Path("in-memory")

    def __init__(self, config: ModelConfig, weights: Mapping[str, Any]) -> None:
        self.config, self._weights = config, weights

    def weights(self) -> Mapping[str, Any]:
        return {n: to_array(w) if isinstance(w, Tensor) else w for n, w in self._weights.items()}


def make(family: Any, **more: Any) -> tuple[LanguageModel, dict[str, Tensor]]:
    """A model with large weights, and its tensors under their names at Hugging Face."""
    sizes = {"vocab_size": 97, "context_length": 40, "n_layer": 2} | ODD[family] | more
    model = build_model(ModelConfig(family=family, **sizes).resolve()).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scale = 0.3 if parameter.ndim == 1 else 1.5 * parameter.shape[-1] ** -0.5
        parameter.data = (parameter.data if parameter.ndim == 1 else 0) + scale * noise
    return model, export_tensors(model.state_dict(), FORMS[family].rules(model.config))


@pytest.fixture
def kernels() -> Iterator[Any]:
    made: list[Program] = []

    def logits(config: ModelConfig, weights: Mapping[str, Any], ids: list[int]) -> np.ndarray:
        network = build_network(InMemory(config, weights))  # type: ignore[arg-type]
        made.append(Program(network, isa=isa(candidates()[0])))
        return made[-1].forward([(made[-1].new_cache(), ids, len(ids))])[0].logits

    yield logits
    for program in made:
        program.close()


def torch_logits(model: LanguageModel, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids]))[0].float().numpy()


IDS = np.random.default_rng(0).integers(0, 97, 40).tolist()


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("family", ODD)
def test_every_family_with_every_position(family: str, position: str, kernels: Any) -> None:
    model, weights = make(family, position=position)
    got, wanted = kernels(model.config, weights, IDS), torch_logits(model, IDS)
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("scaling", ["linear", "ntk", "yarn", "llama3"])
def test_stretched_rope(scaling: Any, kernels: Any) -> None:
    model, weights = make("llama", rope_scaling=scaling, rope_factor=4.0)
    got, wanted = kernels(model.config, weights, IDS), torch_logits(model, IDS)
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()


def test_own_head_and_biases(kernels: Any) -> None:
    model, weights = make("llama", tie_embeddings=False, attention_bias=True)
    got, wanted = kernels(model.config, weights, IDS), torch_logits(model, IDS)
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ODD)
def test_short_floats_stay_as_they_are(family: str, dtype: torch.dtype, kernels: Any) -> None:
    """Rounded weights, but products in float32: torch has the same weights in float32."""
    model, weights = make(family)
    weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
    rules = FORMS[family].rules(model.config)  # type: ignore[index]
    state = import_tensors({n: t.float().numpy() for n, t in weights.items()}, rules)
    model.load_state_dict(state | {"unembedding.weight": state["embedding.weight"]})
    got, wanted = kernels(model.config, weights, IDS), torch_logits(model, IDS)
    assert np.abs(got - wanted).max() < 4e-3 * np.abs(wanted).max()  # the cache is float16


def to_eight_bits(weight: np.ndarray) -> QuantizedTensor:
    scale = (np.abs(weight).max(1, keepdims=True) / 127).astype(np.float32)
    q = np.rint(weight / scale).astype(np.int8)
    return QuantizedTensor(q, scale, None, 8, weight.shape[1], "int8 per channel")


@pytest.mark.parametrize("family", ODD)
def test_quantized_weights(family: str, kernels: Any) -> None:
    """Against torch on the weights that they stand for; rows are rounded to 8 bits here."""
    model, weights = make(family)
    rules = FORMS[family].rules(model.config)  # type: ignore[index]
    turned = {name for rule in rules if rule.transpose for name in rule.theirs}
    stored: dict[str, Any] = {}
    for name, tensor in weights.items():
        stored[name] = tensor
        if tensor.ndim == 2 and "wpe" not in name:
            matrix = tensor.mT if name in turned else tensor
            stored[name] = to_eight_bits(matrix.numpy())
            meant = torch.from_numpy(stored[name].dequantize())
            weights[name] = meant.mT if name in turned else meant
    state = import_tensors({n: t.numpy() for n, t in weights.items()}, rules)
    model.load_state_dict(state | {"unembedding.weight": state["embedding.weight"]})
    got, wanted = kernels(model.config, stored, IDS), torch_logits(model, IDS)
    # Rounding 32 normal numbers to 8 bits is off by 0.5 % (root mean square). Nine products in a
    # row make 1.5 % of it, and attention that is as sharp as here up to twice that again.
    assert np.sqrt(((got - wanted) ** 2).mean() / (wanted**2).mean()) < 0.06


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named(bad: float, kernels: Any) -> None:
    model, weights = make("llama")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name][3, 4] = bad
    with pytest.raises(CheckpointError, match=name):
        kernels(model.config, weights, IDS)
    weights[name][3, 4] = 0
    quantized = to_eight_bits(weights[name].numpy())
    quantized.scale[3] = bad
    with pytest.raises(CheckpointError, match=name):
        kernels(model.config, weights | {name: quantized}, IDS)


def test_what_the_kernels_do_not_compute() -> None:
    recurrent = ModelConfig(family="lstm", vocab_size=97).resolve()
    assert "lstm" in (kernels_fit(recurrent) or "")
    assert kernels_fit(ModelConfig(vocab_size=97).resolve()) is None
