"""Llama and Qwen3 as Hugging Face writes them: their config.json and their tensor names."""

from collections.abc import Mapping
from typing import Any

from penjing.core.errors import CheckpointError
from penjing.model.config import ModelConfig
from penjing.model.hf import HuggingFace
from penjing.model.hf_rope import rope_settings, rope_to_config
from penjing.model.weights import Rule


def _native(config: ModelConfig) -> bool:
    """Whether Hugging Face's model computes the same as ours with this configuration."""
    return config.position == "rope"


def _to_config(config: ModelConfig) -> dict[str, Any]:
    return {
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.n_embd,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "intermediate_size": config.n_inner,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        **rope_to_config(config),
        "attention_dropout": config.dropout,
        "attention_bias": config.attention_bias,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    kinds = set(data.get("layer_types") or ())
    if kinds - {"full_attention"}:
        raise CheckpointError(f"layer_types {sorted(kinds)} cannot be computed here.")
    n_head = data["num_attention_heads"]
    # Where it is not said, Qwen3 has 128, and Llama shares the width among the heads.
    head_dim = data.get("head_dim") or (128 if data["model_type"] == "qwen3" else 0)
    return {
        "vocab_size": data["vocab_size"],
        "context_length": data["max_position_embeddings"],
        "n_layer": data["num_hidden_layers"],
        "n_embd": data["hidden_size"],
        "n_head": n_head,
        "n_kv_head": data.get("num_key_value_heads") or n_head,
        "head_dim": head_dim,
        "n_inner": data["intermediate_size"],
        **rope_settings(data),
        "norm_eps": data.get("rms_norm_eps", 1e-6),
        "dropout": data.get("attention_dropout", 0.0),
        "attention_bias": data.get("attention_bias", False),
        "tie_embeddings": data.get("tie_word_embeddings", False),
    }


def _rules(config: ModelConfig) -> list[Rule]:
    q, kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
    width, inner = config.n_embd, config.n_inner
    table = (config.vocab_size, width)
    shape: tuple[int, ...]
    rows: tuple[int, ...]
    out = [Rule("embedding.weight", ("model.embed_tokens.weight",), table)]
    if config.position == "learned":
        shape = (config.context_length, width)
        out.append(Rule("position.table.weight", ("model.embed_positions.weight",), shape))
    for i in range(config.n_layer):
        ours, theirs = f"layers.{i}", f"model.layers.{i}"
        for kind, n_in in (("weight", (width,)), ("bias", ()))[: 1 + config.attention_bias]:
            parts = tuple(f"{theirs}.self_attn.{p}_proj.{kind}" for p in "qkv")
            shape, rows = (q + 2 * kv, *n_in), (q, kv, kv)
            out.append(Rule(f"{ours}.attention.qkv.{kind}", parts, shape, rows))
            shape = (width, q) if n_in else (width,)
            parts = (f"{theirs}.self_attn.o_proj.{kind}",)
            out.append(Rule(f"{ours}.attention.output.{kind}", parts, shape))
        parts = tuple(f"{theirs}.mlp.{p}_proj.weight" for p in ("gate", "up"))
        shape, rows = (2 * inner, width), (inner, inner)
        out.append(Rule(f"{ours}.feed_forward.gate_up.weight", parts, shape, rows))
        names = {
            "feed_forward.down": ("mlp.down_proj", (width, inner)),
            "norm1": ("input_layernorm", (width,)),
            "norm2": ("post_attention_layernorm", (width,)),
        }
        if config.family == "qwen3":
            names |= {
                "attention.q_norm": ("self_attn.q_norm", (config.head_dim,)),
                "attention.k_norm": ("self_attn.k_norm", (config.head_dim,)),
            }
        for a, (b, shape) in names.items():
            out.append(Rule(f"{ours}.{a}.weight", (f"{theirs}.{b}.weight",), shape))
    out.append(Rule("norm.weight", ("model.norm.weight",), (width,)))
    if not config.tie_embeddings:
        out.append(Rule("unembedding.weight", ("lm_head.weight",), table))
    return out


def _form(architecture: str) -> HuggingFace:
    return HuggingFace(
        architecture=architecture,
        native=_native,
        to_config=_to_config,
        settings=_settings,
        rules=_rules,
        expected={"hidden_act": ("silu",), "mlp_bias": (False,), "use_sliding_window": (False,)},
        ignore=(".rotary_emb.inv_freq",),  # a table that old checkpoints store
    )


LLAMA, QWEN3 = _form("LlamaForCausalLM"), _form("Qwen3ForCausalLM")
