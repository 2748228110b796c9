"""GPT-2 as Hugging Face writes it: its config.json and its tensor names."""

from collections.abc import Mapping
from typing import Any

from penjing.model.config import ModelConfig
from penjing.model.hf import HuggingFace
from penjing.model.weights import Rule


def _canonical(name: str) -> str:
    """The first GPT-2 files leave the prefix out."""
    return name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"


def _native(config: ModelConfig) -> bool:
    """Whether Hugging Face's GPT-2 computes the same as ours with this configuration."""
    return config.position == "learned"


def _to_config(config: ModelConfig) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.n_inner,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": config.norm_eps,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "vocab_size": data["vocab_size"],
        "context_length": data["n_positions"],
        "n_layer": data["n_layer"],
        "n_embd": data["n_embd"],
        "n_head": data["n_head"],
        "n_inner": data.get("n_inner") or 0,
        "norm_eps": data.get("layer_norm_epsilon", 1e-5),
        "dropout": data.get("resid_pdrop", 0.0),
        "tie_embeddings": data.get("tie_word_embeddings", True),
    }


def _rules(config: ModelConfig) -> list[Rule]:
    width, inner = config.n_embd, config.n_inner
    table = (config.vocab_size, width)
    out = [Rule("embedding.weight", ("transformer.wte.weight",), table)]
    if config.position == "learned":
        shape = (config.context_length, width)
        out.append(Rule("position.table.weight", ("transformer.wpe.weight",), shape))
    for i in range(config.n_layer):
        ours, theirs = f"layers.{i}", f"transformer.h.{i}"
        for a, b, n_out, n_in in (
            ("norm1", "ln_1", width, ()),
            ("attention.qkv", "attn.c_attn", 3 * width, (width,)),
            ("attention.output", "attn.c_proj", width, (width,)),
            ("norm2", "ln_2", width, ()),
            ("feed_forward.up", "mlp.c_fc", inner, (width,)),
            ("feed_forward.down", "mlp.c_proj", width, (inner,)),
        ):
            for kind, shape in (("weight", (n_out, *n_in)), ("bias", (n_out,))):
                parts = (f"{theirs}.{b}.{kind}",)
                transpose = kind == "weight" and bool(n_in)
                out.append(Rule(f"{ours}.{a}.{kind}", parts, shape, transpose=transpose))
    out.append(Rule("norm.weight", ("transformer.ln_f.weight",), (width,)))
    out.append(Rule("norm.bias", ("transformer.ln_f.bias",), (width,)))
    if not config.tie_embeddings:
        out.append(Rule("unembedding.weight", ("lm_head.weight",), table))
    return out


GPT2 = HuggingFace(
    architecture="GPT2LMHeadModel",
    native=_native,
    to_config=_to_config,
    settings=_settings,
    rules=_rules,
    expected={
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_by_inverse_layer_idx": (False,),
        "scale_attn_weights": (True,),
        "add_cross_attention": (False,),
    },
    canonical=_canonical,
    ignore=(".attn.bias", ".attn.masked_bias"),  # causal masks that old checkpoints store
)
