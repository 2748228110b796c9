"""The matrices of a model: what each is called on disk, and what its input scales fold into.

q, k and v are one matrix here, as are gate and up: they read the same inputs, and other engines
join them too and then want one scheme for all of them. So they are quantized alike, or not at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from penjing.core.errors import ConfigError
from penjing.core.table import suggest
from penjing.model.base import LanguageModel
from penjing.model.config import RECURRENT, ModelConfig
from penjing.model.forms import FORMS

HEAD, TABLE = "unembedding", "embedding"


@dataclass(frozen=True)
class Matrix:
    """One matrix of the model, which may be several on disk."""

    name: str  # its module's path in the model: "layers.0.attention.qkv"
    theirs: tuple[str, ...]  # Hugging Face's names of the tensors: "model.layers.0...q_proj.weight"
    rows: tuple[int, ...]  # output rows of each of them
    layer: int | None  # None: outside the layers

    @property
    def label(self) -> str:
        """For people: the part that the tensors' names have in common, and what differs."""
        stems = [name.removesuffix(".weight") for name in self.theirs]
        head, _, last = stems[0].rpartition(".")
        lasts = "+".join([last, *(stem.rpartition(".")[2] for stem in stems[1:])])
        return f"{head}.{lasts}" if head else lasts

    def split(self, weight: Tensor) -> list[Tensor]:
        """The rows (N, K) of each tensor on disk; views, no copies."""
        return list(torch.split(weight, list(self.rows)))


def matrices(model: LanguageModel) -> list[Matrix]:
    """All linear layers in the order of the forward pass; the head last, if it is one of its own.

    Raises:
        ConfigError: it is no Transformer.
    """
    config = model.config
    require_transformer(config)
    rules = {rule.ours: rule for rule in FORMS[config.family].rules(config)}
    found = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not (name == HEAD and config.tie_embeddings):
            rule = rules[f"{name}.weight"]
            rows = rule.rows or (module.out_features,)
            part = name.split(".")
            layer = int(part[1]) if part[0] == "layers" else None
            found.append(Matrix(name, rule.theirs, rows, layer))
    return found


def require_transformer(config: ModelConfig) -> None:
    """Raises ConfigError for a recurrent model: no format for quantized weights holds one."""
    if config.family in RECURRENT:
        raise ConfigError(
            f"A {config.family.upper()} cannot be quantized: no format for quantized weights knows "
            "recurrent layers. Transformers can: gpt2, llama, qwen3."
        )


def weight_of(model: LanguageModel, name: str) -> nn.Parameter:
    """The weight (N, K) of a matrix."""
    return model.get_parameter(f"{name}.weight")


def select(patterns: Sequence[str], found: Sequence[Matrix]) -> set[str]:
    """The names of the matrices that a pattern names: shell wildcards over the names on disk.

    "lm_head", "model.layers.0.*" or "*down_proj"; the closing ".weight" may be left out.

    Raises:
        ConfigError: a pattern names nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        hits = [m.name for m in found if any(_fits(name, pattern) for name in _names(m))]
        if not hits:
            known = list(dict.fromkeys(name for m in found for name in _names(m)))
            raise ConfigError(
                f"No matrix that could be quantized matches {pattern!r}; a pattern has shell "
                f"wildcards, such as '*down_proj' or 'model.layers.0.*'."
                f"{suggest(pattern, known[:8])}"
            )
        chosen.update(hits)
    return chosen


def _names(matrix: Matrix) -> Iterator[str]:
    yield matrix.name
    for name in matrix.theirs:
        yield name.removesuffix(".weight")


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern.removesuffix(".weight"))


@dataclass(frozen=True)
class Fold:
    """Where a division of a matrix's input channels can go: rows of what comes before it."""

    into: str  # module path: a norm, or the linear layer whose rows are these channels
    rows: Tensor | None  # (K,) which row of that layer each channel comes from; None: a norm

    def apply(self, model: LanguageModel, scale: Tensor, dtype: torch.dtype) -> Tensor:
        """Divide what the matrix is given by `scale` (K,), in place; return the exact divisor.

        A norm is kept in `dtype`, so its weights are rounded to that, and the divisor is what they
        were divided by then.
        """
        module = model.get_submodule(self.into)
        weight, bias = module.get_parameter("weight"), getattr(module, "bias", None)
        if self.rows is None:
            divided = (weight.data / scale).to(dtype).float()
            scale = torch.where(divided == 0, torch.ones_like(scale), weight.data / divided)
            weight.data = torch.where(divided == 0, weight.data, divided)
            divisor = scale
        else:  # channels that share a row share its scale
            divisor = torch.ones(len(weight)).index_put_((self.rows,), scale)
            weight.data /= divisor[:, None]
        if bias is not None:
            bias.data = (bias.data / divisor).to(dtype).float()
        return scale


def fold_of(matrix: Matrix, model: LanguageModel) -> Fold | None:
    """What the input scales of a matrix fold into; None where there is a bend between."""
    config = model.config
    path = matrix.name.split(".")
    block = ".".join(path[:2])
    match path[2:]:
        case ["attention", "qkv"]:
            return Fold(f"{block}.norm1", None)
        case ["feed_forward", "gate_up" | "up"]:
            return Fold(f"{block}.norm2", None)
        case ["attention", "output"]:  # its channels are those of the values, head by head
            groups = config.n_head // config.n_kv_head
            heads = torch.arange(config.n_head) // groups
            channels = torch.arange(config.head_dim)
            first = (config.n_head + config.n_kv_head) * config.head_dim
            rows = first + (heads[:, None] * config.head_dim + channels).flatten()
            return Fold(f"{block}.attention.qkv", rows)
        case ["feed_forward", "down"] if config.family != "gpt2":  # SwiGLU: linear in its "up" half
            rows = config.n_inner + torch.arange(config.n_inner)
            return Fold(f"{block}.feed_forward.gate_up", rows)
    return None
