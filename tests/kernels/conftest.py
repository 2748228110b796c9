"""Small networks with random weights, and what they compute, written out in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from penjing.kernels.features import Isa, candidates, isa
from penjing.kernels.network import Layer, Linear, Network, Norm, Rope
from penjing.kernels.program import Program

VOCABULARY, CONTEXT = 97, 600

SIZES: dict[str, dict[str, Any]] = {
    "llama": {"n_head": 6, "n_kv_head": 2, "head_dim": 20, "width": 48, "n_inner": 100},
    "qwen3": {"n_head": 4, "n_kv_head": 1, "head_dim": 32, "width": 64, "n_inner": 96},
    "gpt2": {"n_head": 3, "n_kv_head": 3, "head_dim": 16, "width": 48, "n_inner": 192},
}


class Form:
    """A network's arrays by name, so that the reference can read them too."""

    def __init__(self, family: str, seed: int = 0, **more: Any) -> None:
        self.family, self.sizes = family, SIZES[family] | more
        self.rng = np.random.default_rng(seed)
        self.layers = [self._layer() for _ in range(2)]
        self.embedding = self._floats(VOCABULARY, self.sizes["width"])
        self.norm = self._norm(self.sizes["width"])
        d, gpt2 = self.sizes["head_dim"], family == "gpt2"
        self.rope = None if gpt2 else Rope((1e4 ** -(np.arange(0, d, 2) / d)).astype(np.float32))
        self.positions = self._floats(CONTEXT, self.sizes["width"]) if gpt2 else None

    def _floats(self, *shape: int) -> np.ndarray:
        return (self.rng.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)

    def _norm(self, width: int) -> Norm:
        weight = (1 + 0.1 * self.rng.normal(size=width)).astype(np.float32)
        return Norm(weight, self._floats(width) if self.family == "gpt2" else None)

    def _linear(self, n: int, k: int) -> Linear:
        return Linear(self._floats(n, k), self._floats(n) if self.family == "gpt2" else None)

    def _layer(self) -> Layer:
        s = self.sizes
        heads, kv = s["n_head"] * s["head_dim"], s["n_kv_head"] * s["head_dim"]
        gated, normed = self.family != "gpt2", self.family == "qwen3"
        return Layer(
            norm1=self._norm(s["width"]),
            query=self._linear(heads, s["width"]),
            key=self._linear(kv, s["width"]),
            value=self._linear(kv, s["width"]),
            output=self._linear(s["width"], heads),
            norm2=self._norm(s["width"]),
            up=self._linear(s["n_inner"], s["width"]),
            down=self._linear(s["width"], s["n_inner"]),
            gate=self._linear(s["n_inner"], s["width"]) if gated else None,
            query_norm=self._norm(s["head_dim"]) if normed else None,
            key_norm=self._norm(s["head_dim"]) if normed else None,
        )

    def network(self, **more: Any) -> Network:
        settings: dict[str, Any] = {
            "vocab_size": VOCABULARY,
            "context_length": CONTEXT,
            "norm_eps": 1e-5,
            "activation": "gelu" if self.family == "gpt2" else "silu",
            "embedding": lambda: self.embedding,
            "layers": [lambda layer=layer: layer for layer in self.layers],
            "norm": self.norm,
            "positions": self.positions,
            "rope": self.rope,
            "half_cache": False,
        }
        return Network(**(settings | self.sizes | more))

    def logits(self, ids: list[int], slopes: np.ndarray | None = None) -> np.ndarray:
        """(T, V) in float64, all at once."""
        x = self.embedding[ids].astype(float)
        if self.positions is not None:
            x += self.positions[: len(ids)]
        for layer in self.layers:
            x = x + self._attention(layer, self._normed(x, layer.norm1), slopes)
            n = self._normed(x, layer.norm2)
            up = self._times(n, layer.up)
            if layer.gate is None:
                z = np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)
                opened = up / 2 * (1 + np.tanh(z))
            else:
                gate = self._times(n, layer.gate)
                opened = gate / (1 + np.exp(-gate)) * up
            x = x + self._times(opened, layer.down)
        return self._normed(x, self.norm) @ self.embedding.T.astype(float)

    def _times(self, x: np.ndarray, linear: Linear) -> np.ndarray:
        y = x @ linear.weight.T.astype(float)
        return y if linear.bias is None else y + linear.bias

    def _normed(self, x: np.ndarray, norm: Norm) -> np.ndarray:
        if norm.bias is not None:
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * norm.weight
        return x if norm.bias is None else x + norm.bias

    def _attention(self, layer: Layer, n: np.ndarray, slopes: np.ndarray | None) -> np.ndarray:
        s, length = self.sizes, len(n)
        q, k, v = (
            self._times(n, part).reshape(length, -1, s["head_dim"])
            for part in (layer.query, layer.key, layer.value)
        )
        if layer.query_norm is not None and layer.key_norm is not None:
            q, k = self._normed(q, layer.query_norm), self._normed(k, layer.key_norm)
        if self.rope is not None:
            q, k = self._turned(q), self._turned(k)
        group = s["n_head"] // s["n_kv_head"]
        k, v = k.repeat(group, 1), v.repeat(group, 1)
        scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(s["head_dim"])
        places = np.arange(length)
        if slopes is not None:
            scores -= slopes[:, None, None] * (places[:, None] - places)
        scores = np.where(places[:, None] >= places, scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = np.einsum("hts,shd->thd", weights, v).reshape(length, -1)
        return self._times(mixed, layer.output)

    def _turned(self, x: np.ndarray) -> np.ndarray:
        assert self.rope is not None
        angles = np.arange(len(x))[:, None, None] * self.rope.frequencies
        a, b = np.split(x, 2, axis=-1)
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


@pytest.fixture(scope="session")
def fastest() -> Isa:
    """What the kernels use here."""
    return isa(candidates()[0])


@pytest.fixture
def form() -> type[Form]:
    return Form


@pytest.fixture
def program(fastest: Isa) -> Iterator[Callable[..., Program]]:
    """program(network, threads) -> a program that is closed after the test."""
    made: list[Program] = []

    def make(network: Network, threads: int = 1) -> Program:
        made.append(Program(network, isa=fastest, threads=threads))
        return made[-1]

    yield make
    for one in made:
        one.close()
