"""What every family is: a module from token ids to logits, and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penjing.model.attention import causal_bias
from penjing.model.cache import Cache, KVCache
from penjing.model.config import ModelConfig
from penjing.model.positions import POSITIONS, Rotation
from penjing.model.trace import Tap


@dataclass(frozen=True)
class Pass:
    """What all layers of one forward pass share."""

    rotation: Rotation | None  # the turn of queries and keys
    bias: Tensor  # (Tq, Tk) or (H, Tq, Tk), added to the scores; -inf hides the future
    causal: bool  # the bias is the plain causal mask of Tq = Tk
    cache: KVCache | None


class LanguageModel(nn.Module, ABC):
    """`model(ids, positions=None, cache=None) -> logits`: no targets, no loss, no global state."""

    config: ModelConfig

    def forward(
        self, ids: Tensor, positions: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Logits (B, T, V) of the token after each of `ids` (B, T).

        `positions` (T,) are counted from 0, or on from the cache, unless given. With a cache, its
        tokens come before these, and these are appended to it.
        """
        return self.head(self.hidden(ids, positions, cache))

    @abstractmethod
    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """The last layer's output after the final norm, (B, T, C): what the head reads."""

    @abstractmethod
    def head(self, x: Tensor) -> Tensor:
        """(B, T, C) -> logits (B, T, V)."""

    def new_cache(self, *, batch_size: int = 1, capacity: int | None = None) -> Cache:
        """An empty cache in the model's precision; by default for the whole context."""
        weight = next(self.parameters())
        return KVCache(
            self.config,
            batch_size=batch_size,
            capacity=capacity,
            dtype=weight.dtype,
            device=weight.device,
        )

    def n_parameters(self) -> int:
        """How many numbers are trained; a tied table counts once."""
        return sum(p.numel() for p in self.parameters())


class Stack(LanguageModel):
    """The frame that the families share: table look-up, layers, norm, linear head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position = POSITIONS[config.position](config)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(self.make_block(i) for i in range(config.n_layer))
        self.norm = self.make_norm()
        self.unembedding = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.unembedding.weight = self.embedding.weight
        self.embedded, self.normed, self.logits = Tap(), Tap(), Tap()

    @abstractmethod
    def make_block(self, layer: int) -> nn.Module:
        """The family's layer number `layer`."""

    @abstractmethod
    def make_norm(self) -> nn.Module:
        """The family's normalisation of the residual stream."""

    def head(self, x: Tensor) -> Tensor:
        logits: Tensor = self.logits(self.unembedding(x))
        return logits


class Block(nn.Module):
    """Two residual steps. The second starts from the result of the first, not from the input.

    `norm` makes a normalisation of the residual stream.
    """

    def __init__(
        self,
        config: ModelConfig,
        attention: nn.Module,
        feed_forward: nn.Module,
        norm: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.norm1, self.attention = norm(), attention
        self.norm2, self.feed_forward = norm(), feed_forward
        self.dropout = nn.Dropout(config.dropout)
        self.residual = Tap()  # (B, T, C)

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), shared))
        x = x + self.dropout(self.feed_forward(self.norm2(x)))
        residual: Tensor = self.residual(x)
        return residual


class Transformer(Stack):
    """The decoder-only Transformer: each layer attends to all tokens of the past at once."""

    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        past = cache.length if cache is not None else 0
        causal = positions is None and past == 0
        if positions is None:
            positions = torch.arange(past, past + ids.size(1), device=ids.device)
        x = self.embedding(ids)  # (B, T, C)
        x = self.embedded(self.dropout(self.position.embed(x, positions)))
        shared = self._shared(positions, KVCache.expect(cache), causal=causal, dtype=x.dtype)
        for block in self.layers:
            x = block(x, shared)
        if cache is not None:
            cache.finish(ids.size(1))
        normed: Tensor = self.normed(self.norm(x))
        return normed

    def _shared(
        self, positions: Tensor, cache: KVCache | None, *, causal: bool, dtype: torch.dtype
    ) -> Pass:
        keys = cache.begin(positions) if cache is not None else positions
        bias = causal_bias(positions, keys, dtype)
        extra = self.position.bias(positions, keys, dtype)
        return Pass(
            rotation=self.position.rotation(positions, dtype),
            bias=bias if extra is None else bias + extra,
            causal=causal and extra is None,
            cache=cache,
        )
