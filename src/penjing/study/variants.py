"""Models with one part done otherwise, to see what that part is for. None of this is a flag in the
real model: each variant is a subclass of it, or a change to its first weights.
"""

from dataclasses import replace

import torch
from torch import Tensor

from penjing.model.base import Block, LanguageModel, Pass, Transformer
from penjing.model.cache import KVCache
from penjing.model.config import ModelConfig
from penjing.model.gpt2 import GPT2, Attention, FeedForward
from penjing.model.init import RESIDUAL, initialize
from penjing.model.llama import Llama


class _Unmasked(Transformer):
    """Every token sees the whole window, those after it too; a bias by distance works both ways."""

    def _shared(
        self, positions: Tensor, cache: KVCache | None, *, causal: bool, dtype: torch.dtype
    ) -> Pass:
        shared = super()._shared(positions, cache, causal=causal, dtype=dtype)
        extra = self.position.bias(positions, positions, dtype)
        bias = torch.zeros_like(shared.bias) if extra is None else -extra.abs()
        return replace(shared, bias=bias, causal=False)


class UnmaskedGPT2(_Unmasked, GPT2):
    """GPT-2 without its causal mask."""


class UnmaskedLlama(_Unmasked, Llama):
    """Llama and Qwen3 without their causal mask."""


class WrongResidualBlock(Block):
    """The feed-forward network's output is added to the block's input, past the attention's."""

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        attended = x + self.dropout(self.attention(self.norm1(x), shared))
        x = x + self.dropout(self.feed_forward(self.norm2(attended)))  # rightly: attended + ...
        residual: Tensor = self.residual(x)
        return residual


class WrongResidualGPT2(GPT2):
    """GPT-2 whose second residual starts from the wrong tensor."""

    def make_block(self, layer: int) -> Block:
        attention, feed_forward = Attention(self.config, layer), FeedForward(self.config)
        return WrongResidualBlock(self.config, attention, feed_forward, self.make_norm)


def build_variant(kind: type[LanguageModel], config: ModelConfig, *, seed: int) -> LanguageModel:
    """A variant with the random weights that the real model has for this seed."""
    model = kind(config.resolve())
    initialize(model, "scaled", torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def unscale(model: LanguageModel) -> LanguageModel:
    """Undo the scaled initialisation, in place: std 0.02 in the residual projections as well."""
    for name, parameter in model.named_parameters():
        if name.endswith(RESIDUAL):
            parameter.mul_((2 * model.config.n_layer) ** 0.5)
    return model
