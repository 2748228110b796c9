"""What a GGUF file says of its model, in our terms and back: sizes, norms, RoPE.

An architecture of llama.cpp that we compute is one line in `ARCHITECTURES`. What a file asks for
and we do not compute is refused by name: a model that runs, but wrongly, is worse.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penjing.core.config import from_dict
from penjing.core.errors import CheckpointError, ConfigError
from penjing.core.table import Table, suggest
from penjing.formats.gguf.metadata import Metadata
from penjing.formats.gguf.reader import GgufFile
from penjing.formats.gguf.rope import rope_metadata, rope_settings
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.forms import FORMS


@dataclass(frozen=True)
class Architecture:
    """One of llama.cpp's names for a network, and what it is here."""

    family: FamilyName
    eps: str  # its key for what is added under the root in a norm
    turned: bool = False  # rows of q and k lie as RoPE's pairs, not as two halves


RMS = "attention.layer_norm_rms_epsilon"
ARCHITECTURES: Table[Architecture] = Table(
    "GGUF architecture",
    {
        "llama": Architecture("llama", RMS, turned=True),
        "qwen2": Architecture("llama", RMS),  # biases on q, k, v; on the output they are 0
        "qwen3": Architecture("qwen3", RMS),
        "gpt2": Architecture("gpt2", "attention.layer_norm_epsilon"),
    },
)

# Keys (after the architecture's name) that change what is computed: each must be absent, 0, or no
# more than zeros.
NOT_COMPUTED = (
    "expert_count",
    "attention.sliding_window",
    "attention.max_alibi_bias",
    "attention.clamp_kqv",
    "attention.scale",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
)
FEWEST_TENSORS = 9  # that any layer has


def architecture_of(file: GgufFile) -> str:
    """The name of its architecture, one that we compute.

    Raises:
        CheckpointError: it is not, or the file is only a part of a model.
    """
    name = file.metadata.text("general.architecture")
    if name not in ARCHITECTURES:
        raise CheckpointError(
            f"{file.path}: a model of the architecture {name!r:.40} cannot be computed here."
            f"{suggest(name[:40], list(ARCHITECTURES))}"
        )
    if file.metadata.whole("split.count", 1) > 1:
        raise CheckpointError(
            f"{file.path} is one of several parts of a model. Join them first, with llama.cpp's "
            "`llama-gguf-split --merge`."
        )
    return name


def read_config(file: GgufFile) -> ModelConfig:
    """The configuration of a file's model.

    Raises:
        CheckpointError: sizes are missing, do not fit together, or are of what we do not compute.
    """
    name = architecture_of(file)
    architecture = ARCHITECTURES[name]
    metadata = file.metadata
    for key in NOT_COMPUTED:
        value = metadata.get(f"{name}.{key}", 0)
        if np.any(value):
            raise CheckpointError(
                f"{file.path}: {name}.{key} = {value!s:.40} cannot be computed here."
            )
    if not metadata.flag(f"{name}.attention.causal", True):
        raise CheckpointError(
            f"{file.path}: {name}.attention.causal is false: the model sees what comes later, and "
            "cannot continue a text."
        )
    try:
        settings = _sizes(file, name) | {
            "family": architecture.family,
            "norm_eps": metadata.number(f"{name}.{architecture.eps}"),
            "tie_embeddings": "output.weight" not in file.tensors,
        }
        if architecture.family != "gpt2":
            settings |= _heads(metadata, name, settings)
            settings |= rope_settings(file, name, settings["head_dim"], settings["context_length"])
            settings["attention_bias"] = _bias(file, name)
        return from_dict(ModelConfig, settings, where="in our terms").resolve()
    except ConfigError as error:
        raise CheckpointError(f"{file.path}: {error}") from error


def _sizes(file: GgufFile, name: str) -> dict[str, Any]:
    table = file.tensors.get("token_embd.weight")
    if table is None or len(table.shape) != 2:
        raise CheckpointError(f"{file.path} has no table of embeddings, token_embd.weight.")
    metadata = file.metadata
    sizes = {
        "vocab_size": table.shape[0],
        "context_length": metadata.whole(f"{name}.context_length"),
        "n_layer": metadata.whole(f"{name}.block_count"),
        "n_embd": metadata.whole(f"{name}.embedding_length"),
        "n_head": metadata.whole(f"{name}.attention.head_count"),
        "n_inner": metadata.whole(f"{name}.feed_forward_length"),
    }
    zero = [key for key, size in sizes.items() if size == 0]  # ours may leave them out
    if zero:
        raise CheckpointError(f"{file.path}: {', '.join(zero)} of the model cannot be 0.")
    if sizes["n_layer"] * FEWEST_TENSORS > len(file.tensors):
        raise CheckpointError(
            f"{file.path} claims {sizes['n_layer']:,} layers, but holds {len(file.tensors):,} "
            "tensors. The file was written only in part."
        )
    return sizes


def _heads(metadata: Metadata, name: str, sizes: dict[str, Any]) -> dict[str, int]:
    shared = sizes["n_embd"] // sizes["n_head"]
    head_dim = metadata.whole(f"{name}.attention.key_length", shared)
    for key in ("attention.value_length", "rope.dimension_count"):
        found = metadata.whole(f"{name}.{key}", head_dim)
        if found != head_dim:
            raise CheckpointError(
                f"{metadata.path}: {name}.{key} = {found}, but the heads have {head_dim} channels: "
                "a model whose keys and values differ, or whose RoPE turns only a part of a head, "
                "cannot be computed here."
            )
    n_kv_head = metadata.whole(f"{name}.attention.head_count_kv", sizes["n_head"])
    return {"head_dim": head_dim, "n_kv_head": n_kv_head}


def _bias(file: GgufFile, name: str) -> bool:
    """Whether attention has biases: on all four matrices, or on none."""
    parts = ["q", "k", "v"] if name == "qwen2" else ["q", "k", "v", "output"]
    found = [part for part in parts if f"blk.0.attn_{part}.bias" in file.tensors]
    if found and found != parts:
        raise CheckpointError(
            f"{file.path} has biases on {', '.join(found)} of attention, and not on the others: "
            "such a model cannot be computed here."
        )
    return bool(found)


def config_metadata(config: ModelConfig) -> tuple[str, dict[str, Any]]:
    """The architecture's name and the keys of a file that holds this model.

    Raises:
        CheckpointError: llama.cpp computes no such model.
    """
    name = next((n for n, a in ARCHITECTURES.items() if a.family == config.family), None)
    if name is None or not FORMS[config.family].native(config):
        raise CheckpointError(
            f"llama.cpp has no {config.family} model with the position {config.position!r}: it "
            f"computes {', '.join(ARCHITECTURES)} with their own positions. It cannot be written "
            "as GGUF."
        )
    if name == "qwen3" and config.attention_bias:
        raise CheckpointError("llama.cpp's qwen3 has no biases in attention: use family llama.")
    values: dict[str, Any] = {
        "context_length": config.context_length,
        "embedding_length": config.n_embd,
        "block_count": config.n_layer,
        "feed_forward_length": config.n_inner,
        "attention.head_count": config.n_head,
        ARCHITECTURES[name].eps: float(config.norm_eps),
    }
    if config.family != "gpt2":
        values |= {
            "vocab_size": config.vocab_size,
            "attention.head_count_kv": config.n_kv_head,
            "attention.key_length": config.head_dim,
            "attention.value_length": config.head_dim,
            "rope.dimension_count": config.head_dim,
            **rope_metadata(config),
        }
    return name, {f"{name}.{key}": value for key, value in values.items()}
