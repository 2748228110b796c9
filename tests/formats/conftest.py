"""GGUF files of gguf's own making: small models of every architecture and tensor type."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from penjing.quantization.ggml import BLOCK_TYPES, FLOAT_TYPES

ALPHABET = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that GPT-2 shows as such
BYTES = [chr(b) for b in ALPHABET] + [chr(256 + n) for n in range(256 - len(ALPHABET))]
MERGES = ["t h", "th e", "Ġ the", "a n"]
TOKENS = [*BYTES, "th", "the", "Ġthe", "an", "<|end|>", "<extra>"]
MakeGguf = Callable[..., Path]


def random_blocks(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Bytes of any content are blocks; scales are kept small, and so are the weights."""
    block = BLOCK_TYPES[kind]
    raw = rng.integers(0, 256, (*shape[:-1], shape[-1] // block.weights, block.size), np.uint8)
    scale = np.frombuffer(np.float16(0.003).tobytes(), np.uint8)
    two = dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2))
    for start in (two | {"Q6_K": (208,)}).get(kind, (0,)):
        raw[..., start : start + 2] = scale
    return raw.reshape(*shape[:-1], -1)


def shapes(arch: str, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """All tensors of a small model, as llama.cpp names them."""
    c, n_layer, inner, vocab = sizes["c"], sizes["layers"], sizes["inner"], sizes["vocab"]
    q, kv = sizes["heads"] * sizes["head"], sizes["kv"] * sizes["head"]
    out: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocab, c)}
    if arch == "gpt2":
        out |= {"position_embd.weight": (64, c), "output_norm.bias": (c,)}
    for i in range(n_layer):
        parts: dict[str, tuple[int, ...]] = {"attn_norm": (c,), "ffn_norm": (c,)}
        parts |= {"attn_output": (c, q), "ffn_up": (inner, c), "ffn_down": (c, inner)}
        if arch == "gpt2":
            parts["attn_qkv"] = (3 * c, c)
            out |= {f"blk.{i}.{name}.bias": shape[:1] for name, shape in parts.items()}
        else:
            parts |= {"attn_q": (q, c), "attn_k": (kv, c), "attn_v": (kv, c)}
            parts["ffn_gate"] = (inner, c)
        if arch == "qwen3":
            parts |= {"attn_q_norm": (sizes["head"],), "attn_k_norm": (sizes["head"],)}
        if arch == "qwen2":
            out |= {f"blk.{i}.attn_{n}.bias": parts[f"attn_{n}"][:1] for n in "qkv"}
        out |= {f"blk.{i}.{name}.weight": shape for name, shape in parts.items()}
    out["output_norm.weight"] = (c,)
    return out


@pytest.fixture(scope="session")
def make_gguf(tmp_path_factory: pytest.TempPathFactory) -> MakeGguf:
    """`make_gguf(arch, kinds=("Q4_0", "F16"), ...)`: its matrices take the kinds in turn."""

    def make(
        arch: str = "llama",
        kinds: tuple[str, ...] = ("F32",),
        extra: Mapping[str, Any] | None = None,
        tensors: Mapping[str, np.ndarray] | None = None,
        drop: tuple[str, ...] = (),
        untied: bool = False,
        **sizes: int,
    ) -> Path:
        usual = {"c": 64, "layers": 2, "inner": 96, "heads": 4, "kv": 2, "head": 16}
        sizes = {**usual, "vocab": len(TOKENS), **sizes}
        if arch == "gpt2":
            sizes["kv"] = sizes["heads"]
        path = tmp_path_factory.mktemp("made") / f"{arch}.gguf"
        writer = gguf.GGUFWriter(str(path), arch)
        writer.add_context_length(64)
        writer.add_embedding_length(sizes["c"])
        writer.add_block_count(sizes["layers"])
        writer.add_feed_forward_length(sizes["inner"])
        writer.add_head_count(sizes["heads"])
        writer.add_head_count_kv(sizes["kv"])
        if arch == "gpt2":
            writer.add_layer_norm_eps(1e-5)
        else:
            writer.add_layer_norm_rms_eps(1e-5)
            writer.add_key_length(sizes["head"])
            writer.add_value_length(sizes["head"])
            writer.add_rope_dimension_count(sizes["head"])
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(TOKENS[: sizes["vocab"]])
        writer.add_token_types(([1] * (len(TOKENS) - 2) + [3, 4])[: sizes["vocab"]])
        writer.add_token_merges(MERGES)
        writer.add_eos_token_id(TOKENS.index("<|end|>"))
        for key, value in (extra or {}).items():
            add(writer, key, value)
        rng = np.random.default_rng(0)
        wanted = shapes(arch, sizes)
        if untied:
            wanted["output.weight"] = wanted["token_embd.weight"]
        for number, (name, shape) in enumerate(wanted.items()):
            if name not in drop and name not in (tensors or {}):
                kind = kinds[number % len(kinds)] if len(shape) > 1 else "F32"
                kind = "F32" if name == "position_embd.weight" else kind
                if kind in FLOAT_TYPES:
                    w = rng.normal(0, 0.1, shape) + (len(shape) == 1 and name.endswith("t"))
                    number_ = gguf.GGMLQuantizationType[kind]
                    raw = gguf.quants.quantize(w.astype(np.float32), number_)
                else:
                    raw = random_blocks(kind, shape, rng)
                writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType[kind])
        for name, values in (tensors or {}).items():
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return make


def add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    """A metadata entry of the type that Python's has."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
