"""Where a GGUF file keeps each tensor of a model, both ways.

Hugging Face's names, which our rules know, and llama.cpp's; GPT-2's matrices, which Hugging Face
keeps the other way round; and the rows of q and k of the architecture `llama`, where the two
channels of one of RoPE's pairs lie side by side and not half a head apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.config import ARCHITECTURES
from penjing.formats.gguf.reader import GgufFile, TensorInfo
from penjing.formats.gguf.rope import FACTORS
from penjing.model.config import ModelConfig
from penjing.model.forms import FORMS
from penjing.model.weights import Stored
from penjing.quantization.ggml import FLOAT_TYPES, unpack_blocks

_LAYER = {
    "llama": {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    "gpt2": {
        "ln_1": "attn_norm",
        "ln_2": "ffn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
}
_OUTSIDE = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
}
_NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # bfloat16 as its bits


@dataclass(frozen=True)
class Place:
    """One tensor under both names."""

    theirs: str  # llama.cpp's name: "blk.0.attn_q.weight"
    hf: str  # Hugging Face's name, which our rules know
    shape: tuple[int, ...]  # in the file: (N, K) with rows of outputs, or (N,)
    transpose: bool  # Hugging Face has a float matrix as (K, N)
    heads: int  # > 0: its rows lie by RoPE's pairs within so many heads
    zero: bool = False  # the architecture has none: it is 0


def places(config: ModelConfig, architecture: str) -> list[Place]:
    """All tensors of a model, in the order of our rules."""
    turned = ARCHITECTURES[architecture].turned
    out = []
    for rule in FORMS[config.family].rules(config):
        for hf, shape in zip(rule.theirs, rule.shapes, strict=True):
            heads = 0
            if turned and ".q_proj." in hf:
                heads = config.n_head
            elif turned and ".k_proj." in hf:
                heads = config.n_kv_head
            zero = architecture == "qwen2" and hf.endswith(".o_proj.bias")
            out.append(Place(_theirs(hf, config), hf, shape, rule.transpose, heads, zero))
    return out


def _theirs(hf: str, config: ModelConfig) -> str:
    stem, _, kind = hf.rpartition(".")
    layer = re.fullmatch(r"(?:model\.layers|transformer\.h)\.(\d+)\.(.+)", stem)
    if layer is None:
        return f"{_OUTSIDE[stem]}.{kind}"
    names = _LAYER["gpt2" if config.family == "gpt2" else "llama"]
    return f"blk.{layer[1]}.{names[layer[2]]}.{kind}"


class GgufWeights(Mapping[str, Stored]):
    """The stored weights of a file by their Hugging Face names, each read when asked for.

    A quantized matrix is (N, K), rows of outputs, whatever Hugging Face's own form is. Floats have
    that form, in the stored precision.

    Raises:
        CheckpointError: the tensors are not those of the configuration.
    """

    def __init__(self, file: GgufFile, config: ModelConfig, architecture: str) -> None:
        self._file = file
        self._places = {place.hf: place for place in places(config, architecture)}
        _check(file, list(self._places.values()))

    def __getitem__(self, hf: str) -> Stored:
        place = self._places[hf]
        if place.zero:
            return np.zeros(place.shape, np.float32)
        info = self._file.tensors[place.theirs]
        raw = self._file.raw(place.theirs)
        if place.heads:
            raw = _halves(raw.reshape(place.shape[0], -1), place.heads)
        if info.type not in FLOAT_TYPES:
            return unpack_blocks(raw, info.type)
        floats = raw.view(_NUMPY[info.type]).reshape(place.shape)
        if not floats.flags.aligned:
            floats = floats.copy()
        return np.ascontiguousarray(floats.T) if place.transpose and floats.ndim == 2 else floats

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _halves(rows: NDArray[np.uint8], heads: int) -> NDArray[np.uint8]:
    """Rows by pairs -> rows by halves of each head."""
    n, size = rows.shape
    return rows.reshape(heads, n // heads // 2, 2, size).swapaxes(1, 2).reshape(n, size)


def by_pairs(rows: NDArray[np.uint8], heads: int) -> NDArray[np.uint8]:
    """Rows by halves of each head -> rows by pairs, as the architecture `llama` has them."""
    n, size = rows.shape
    return rows.reshape(heads, 2, n // heads // 2, size).swapaxes(1, 2).reshape(n, size)


def _check(file: GgufFile, wanted: list[Place]) -> None:
    """Raises CheckpointError if the file's tensors are not just these, in these shapes."""
    known = {place.theirs: place for place in wanted if not place.zero}
    missing = sorted(set(known) - set(file.tensors))
    extra = sorted(set(file.tensors) - set(known) - {FACTORS})
    if missing or extra:
        raise CheckpointError(
            f"{file.path}: the tensors do not fit the metadata:"
            + (f" {len(missing)} missing ({_some(missing)})." if missing else "")
            + (f" {len(extra)} unknown ({_some(extra)})." if extra else "")
            + " The file holds another kind of model, or was written only in part."
        )
    for name, place in known.items():
        _check_one(file, name, file.tensors[name], place)


def _check_one(file: GgufFile, name: str, info: TensorInfo, place: Place) -> None:
    if info.shape != place.shape:
        raise CheckpointError(
            f"{file.path}: tensor {name} has the shape {info.shape}, but the metadata ask for "
            f"{place.shape}."
        )
    if len(info.shape) == 1 and info.type not in FLOAT_TYPES:
        raise CheckpointError(f"{file.path}: tensor {name}, a vector, is quantized ({info.type}).")
    if name == "position_embd.weight" and info.type not in FLOAT_TYPES:
        raise CheckpointError(
            f"{file.path}: learned positions in {info.type} are not read, only as floats."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
