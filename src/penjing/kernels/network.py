"""What a Transformer is to a kernel: arrays and sizes, nothing of how it was trained or stored.

One description for the Llama, Qwen3 and GPT-2 families. Each block is

    x = x + output(attention(rope(norm(query(n))), rope(norm(key(n))), value(n)))    n = norm1(x)
    x = x + down(activation(gate(n)) * up(n))                                        n = norm2(x)

where what a family lacks is None: GPT-2 has no gate (then it is activation(up(n))), no rope and no
norm of queries and keys; Llama has no biases.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penjing.quantization.tensor import QuantizedTensor

Floats = NDArray[np.float32]
# (N, K), rows are outputs. An array of uint16 holds bfloat16, which NumPy has no name for.
Matrix = QuantizedTensor | Floats | NDArray[np.float16] | NDArray[np.uint16]


@dataclass(frozen=True)
class Linear:
    """x (K,) -> weight @ x + bias, (N,)."""

    weight: Matrix  # (N, K)
    bias: Floats | None = None  # (N,)


@dataclass(frozen=True)
class Norm:
    """RMSNorm (Zhang and Sennrich 2019), or LayerNorm (Ba et al. 2016) where there is a bias."""

    weight: Floats  # (width,)
    bias: Floats | None = None  # (width,)


@dataclass(frozen=True)
class Rope:
    """RoPE (Su et al. 2021): pair (i, i + D/2) of a head turns by position * frequencies[i]."""

    frequencies: Floats  # (D / 2,), radians a position, with any scaling
    sharpness: float = 1.0  # multiplies cos and sin


@dataclass(frozen=True)
class Layer:
    """One block. H query heads and H_kv key/value heads of D channels; C the stream's width."""

    norm1: Norm
    query: Linear  # (H * D, C)
    key: Linear  # (H_kv * D, C)
    value: Linear  # (H_kv * D, C)
    output: Linear  # (C, H * D)
    norm2: Norm
    up: Linear  # (n_inner, C)
    down: Linear  # (C, n_inner)
    gate: Linear | None = None  # (n_inner, C)
    query_norm: Norm | None = None  # over each head's D channels
    key_norm: Norm | None = None


@dataclass(frozen=True)
class Network:
    """A whole model: embedding look-up, layers, norm, head.

    What is large is made when it is asked for, and asked for once: so a model that is being packed
    is never in memory as a whole in both forms.
    """

    vocab_size: int  # V
    context_length: int  # positions 0 to context_length - 1 can be computed
    width: int  # C, of the residual stream
    n_head: int  # H
    n_kv_head: int  # H_kv; H is a multiple of it
    head_dim: int  # D
    n_inner: int
    norm_eps: float
    activation: Literal["silu", "gelu"]  # gelu: its tanh form (Hendrycks and Gimpel 2016)
    embedding: Callable[[], Matrix]  # (V, C)
    layers: Sequence[Callable[[], Layer]]
    norm: Norm
    head: Callable[[], Matrix] | None = None  # (V, C); None: the embedding table is the head too
    positions: Floats | None = None  # (context_length, C), added to the embeddings
    rope: Rope | None = None
    slopes: Floats | None = None  # ALiBi: (H,), times the distance, taken from the scores
    half_cache: bool = True  # keys and values are kept in float16, not float32
