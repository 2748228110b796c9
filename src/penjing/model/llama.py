"""Llama and Qwen3: RMSNorm, RoPE, SwiGLU, grouped-query attention, no biases.

Touvron et al. 2023 (Llama); Yang et al. 2025 (Qwen3), which adds a norm on queries and keys.
"""

from torch import Tensor, nn

from penjing.model.attention import attend
from penjing.model.base import Block, Pass, Transformer
from penjing.model.config import ModelConfig
from penjing.model.fused import rms_norm, swiglu
from penjing.model.fused_attention import joint_attention, pays
from penjing.model.positions import rotate
from penjing.model.trace import Tap


class RMSNorm(nn.RMSNorm):
    """Scale to a root mean square of 1, then by a weight for each channel."""

    eps: float

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """Causal self-attention; groups of query heads share one key/value head."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        heads = config.n_head + 2 * config.n_kv_head
        bias = config.attention_bias
        self.qkv = nn.Linear(config.n_embd, heads * config.head_dim, bias=bias)
        self.output = nn.Linear(config.n_head * config.head_dim, config.n_embd, bias=bias)
        if config.family == "qwen3":
            self.q_norm = RMSNorm(config.head_dim, eps=config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, eps=config.norm_eps)
        self.weights = Tap()  # (B, H, Tq, Tk)

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        dropout = self.config.dropout if self.training else 0.0
        if pays(x, shared, dropout=dropout) and not self.weights.listening:
            return self._in_one(x, shared)
        batch, length, _ = x.shape
        n_head, n_kv_head = self.config.n_head, self.config.n_kv_head
        qkv = self.qkv(x).view(batch, length, n_head + 2 * n_kv_head, self.config.head_dim)
        q, k, v = qkv.split((n_head, n_kv_head, n_kv_head), dim=2)  # (B, T, heads, D)
        if self.config.family == "qwen3":
            q, k = self.q_norm(q), self.k_norm(k)
        if shared.rotation is not None:
            q, k = rotate(q, shared.rotation), rotate(k, shared.rotation)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, D)
        if shared.cache is not None:
            k, v = shared.cache.append(self.layer, k, v)
        y = attend(q, k, v, shared.bias, causal=shared.causal, dropout=dropout, tap=self.weights)
        mixed: Tensor = self.output(y.transpose(1, 2).reshape(batch, length, -1))
        return mixed

    def _in_one(self, x: Tensor, shared: Pass) -> Tensor:
        """The same attention as `forward` spells out, with its gradient written by hand."""
        qwen3 = self.config.family == "qwen3"
        y = joint_attention(
            self.qkv(x),
            shared.bias,
            n_head=self.config.n_head,
            n_kv_head=self.config.n_kv_head,
            norms=(self.q_norm.weight, self.k_norm.weight) if qwen3 else None,
            rotation=shared.rotation,
            eps=self.config.norm_eps,
        )
        mixed: Tensor = self.output(y)
        return mixed


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020): one half of the wide layer opens the gate for the other."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.n_embd, 2 * config.n_inner, bias=False)
        self.down = nn.Linear(config.n_inner, config.n_embd, bias=False)
        self.activation = Tap()  # (B, T, n_inner)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(self.activation(swiglu(self.gate_up(x))))
        return y


class Llama(Transformer):
    """Hugging Face's `LlamaForCausalLM` and `Qwen3ForCausalLM`, with any position encoding."""

    def make_block(self, layer: int) -> Block:
        attention, feed_forward = Attention(self.config, layer), FeedForward(self.config)
        return Block(self.config, attention, feed_forward, self.make_norm)

    def make_norm(self) -> RMSNorm:
        return RMSNorm(self.config.n_embd, eps=self.config.norm_eps)
