"""RNN and LSTM on disk: Hugging Face has no class for them, so names and configuration are ours."""

from penjing.model.config import ModelConfig
from penjing.model.hf import HuggingFace
from penjing.model.weights import Rule


def _rules(config: ModelConfig) -> list[Rule]:
    width = config.n_embd
    gates = (4 if config.family == "lstm" else 1) * width
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (config.vocab_size, width)}
    for i in range(config.n_layer):
        shapes |= {
            f"layers.{i}.norm.weight": (width,),
            f"layers.{i}.cell.input.weight": (gates, width),
            f"layers.{i}.cell.input.bias": (gates,),
            f"layers.{i}.cell.recurrent.weight": (gates, width),
        }
    shapes["norm.weight"] = (width,)
    if not config.tie_embeddings:
        shapes["unembedding.weight"] = (config.vocab_size, width)
    return [Rule(name, (name,), shape) for name, shape in shapes.items()]


RECURRENT = HuggingFace(
    architecture=None,
    native=lambda _config: False,
    to_config=lambda _config: {},
    settings=lambda _data: {},
    rules=_rules,
    expected={},
)
