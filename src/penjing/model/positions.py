"""How a model is told the order of its tokens: one table of position encodings.

Self-attention alone sees a bag of tokens. There are three places where order can enter, and each
encoding uses one of them:

    embed     add something to the token's embedding       learned, sinusoidal
    rotation  turn queries and keys by their position      rope
    bias      subtract from the attention scores           alibi
"""

import torch
from torch import Tensor, nn

from penjing.core.errors import ConfigError
from penjing.core.table import Table
from penjing.model import rope
from penjing.model.config import ModelConfig
from penjing.model.position_tables import SIZE, alibi_slopes

Rotation = tuple[Tensor, Tensor]  # cos, and sin with its sign: each (T, 1, D)


class PositionEncoding(nn.Module):
    """No encoding at all: the base of the others, and the table's "none"."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Embeddings (B, T, C) at positions (T,) -> (B, T, C)."""
        return x

    def rotation(self, positions: Tensor, dtype: torch.dtype) -> Rotation | None:
        """The turn of queries and keys at positions (T,), or None."""
        return None

    def bias(self, queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor | None:
        """(H, Tq, Tk): added to the scores of query positions (Tq,) on key positions (Tk,)."""
        return None


class Learned(PositionEncoding):
    """One trained vector a position (GPT-2). Nothing is known beyond the trained length."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.context_length, config.n_embd)

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        looking = not torch.compiler.is_compiling()  # it would cut the compiled graph in two
        if looking and positions.numel() and int(positions.max()) >= self.table.num_embeddings:
            raise ConfigError(
                f"Position {int(positions.max())} was asked for, but learned positions end at "
                f"{self.table.num_embeddings - 1}. Use a shorter text, or train with a longer "
                "model.context_length."
            )
        embedded: Tensor = x + self.table(positions)
        return embedded


class Sinusoidal(PositionEncoding):
    """Sines and cosines of falling frequency, not trained (Vaswani et al. 2017, section 3.5).

    They are scaled to the initial size of the embeddings (std 0.02), where the paper scales the
    embeddings up instead: else the position would drown the token. As `sinusoids`, on any device.
    """

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        width = x.size(-1)
        frequency = 10000.0 ** (-torch.arange(0, width, 2, device=x.device) / width)
        angles = positions[:, None] * frequency  # (T, C/2)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]  # (T, C)
        return x + (SIZE * waves).to(x.dtype)


class Rotary(PositionEncoding):
    """RoPE: pairs of channels turn with the position (Su et al. 2021).

    A score then depends on the distance of query and key alone. The pairs are channel i and
    i + D/2, as in the Llama checkpoints of Hugging Face. How fast each turns: `penjing.model.rope`.
    """

    def rotation(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        pairs = torch.arange(self.config.head_dim // 2, device=positions.device).float()
        angles = positions[:, None].float() * rope.frequencies_of(pairs, self.config)
        sharpness = rope.sharpness(self.config)
        cos, sin = angles.cos(), angles.sin()  # (T, D/2)
        if sharpness != 1:
            cos, sin = cos * sharpness, sin * sharpness
        cos, sin = torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)  # (T, D)
        return cos.to(dtype)[:, None], sin.to(dtype)[:, None]


class Alibi(PositionEncoding):
    """A score loses `slope * distance`, with a slope for each head (Press et al. 2021)."""

    def bias(self, queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
        distance = (queries[:, None] - keys[None, :]).float()  # (Tq, Tk)
        slopes = torch.tensor(alibi_slopes(self.config.n_head), device=distance.device)
        return (-slopes[:, None, None] * distance).to(dtype)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair of channels of x (B, T, heads, D) by its position's angle.

    The pair (a, b) = (i, i + D/2) becomes (a cos - b sin, b cos + a sin): x times cos, plus x
    with its halves swapped times sin, where the first half of sin has a minus sign.
    """
    cos, sin = rotation
    return x * cos + x.roll(x.size(-1) // 2, dims=-1) * sin


POSITIONS: Table[type[PositionEncoding]] = Table(
    "position encoding",
    {
        "learned": Learned,
        "sinusoidal": Sinusoidal,
        "rope": Rotary,
        "alibi": Alibi,
        "none": PositionEncoding,
    },
)
