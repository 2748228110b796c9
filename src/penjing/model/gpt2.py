"""GPT-2 (Radford et al. 2019): LayerNorm, GELU, biases, learned positions, tied head."""

from torch import Tensor, nn

from penjing.model.attention import attend
from penjing.model.base import Block, Pass, Transformer
from penjing.model.config import ModelConfig
from penjing.model.fused import gelu
from penjing.model.fused_attention import joint_attention, pays
from penjing.model.positions import rotate
from penjing.model.trace import Tap


class Attention(nn.Module):
    """Multi-head causal self-attention."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.output = nn.Linear(config.n_embd, config.n_embd)
        self.weights = Tap()  # (B, H, Tq, Tk)

    def forward(self, x: Tensor, shared: Pass) -> Tensor:
        dropout = self.config.dropout if self.training else 0.0
        if pays(x, shared, dropout=dropout) and not self.weights.listening:
            return self._in_one(x, shared)
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.config.n_head, self.config.head_dim)
        q, k, v = qkv.unbind(2)  # each (B, T, H, D)
        if shared.rotation is not None:
            q, k = rotate(q, shared.rotation), rotate(k, shared.rotation)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, T, D)
        if shared.cache is not None:
            k, v = shared.cache.append(self.layer, k, v)
        y = attend(q, k, v, shared.bias, causal=shared.causal, dropout=dropout, tap=self.weights)
        mixed: Tensor = self.output(y.transpose(1, 2).reshape(batch, length, width))
        return mixed

    def _in_one(self, x: Tensor, shared: Pass) -> Tensor:
        """The same attention as `forward` spells out, with its gradient written by hand."""
        heads = self.config.n_head
        y = joint_attention(
            self.qkv(x), shared.bias, n_head=heads, n_kv_head=heads, rotation=shared.rotation
        )
        mixed: Tensor = self.output(y)
        return mixed


class FeedForward(nn.Module):
    """Each position by itself: widen, bend, narrow."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.n_embd, config.n_inner)
        self.down = nn.Linear(config.n_inner, config.n_embd)
        self.activation = Tap()  # (B, T, n_inner)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(self.activation(gelu(self.up(x))))
        return y


class GPT2(Transformer):
    """Hugging Face's `GPT2LMHeadModel`, with any position encoding of the table."""

    def make_block(self, layer: int) -> Block:
        attention, feed_forward = Attention(self.config, layer), FeedForward(self.config)
        return Block(self.config, attention, feed_forward, self.make_norm)

    def make_norm(self) -> nn.LayerNorm:
        return nn.LayerNorm(self.config.n_embd, eps=self.config.norm_eps)
