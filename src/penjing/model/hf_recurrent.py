"""RNN and LSTM on disk: Hugging Face has no class for them, so names and configuration are ours."""

from penjing.model.config import ModelConfig
from penjing.model.hf import HuggingFace
from penjing.model.weights import Rule


def _rules(config: ModelConfig) -> list[Rule]:
    names = ["embedding.weight"]
    for i in range(config.n_layer):
        parts = ("norm.weight", "cell.input.weight", "cell.input.bias", "cell.recurrent.weight")
        names += [f"layers.{i}.{part}" for part in parts]
    names.append("norm.weight")
    if not config.tie_embeddings:
        names.append("unembedding.weight")
    return [Rule(name, (name,)) for name in names]


RECURRENT = HuggingFace(
    architecture=None,
    native=lambda _config: False,
    to_config=lambda _config: {},
    settings=lambda _data: {},
    rules=_rules,
    expected={},
)
