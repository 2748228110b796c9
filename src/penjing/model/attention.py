"""Causal self-attention: each token gathers from itself and from those before it, never after.

Twice: written out to be read, and fused to be fast. A test holds the two equal.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.model.trace import Tap


def short(x: Tensor) -> bool:
    """Whether the written-out form is also the faster one for x (B, T, ...): few tokens, on a CPU.

    Torch's fused kernel is slow there in bf16, and fast in float32.
    """
    limit = 256 if x.dtype == torch.bfloat16 else 64
    return x.device.type == "cpu" and x.size(1) <= limit


def causal_bias(queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
    """(Tq, Tk): 0 where a query position (Tq,) may see a key position (Tk,), -inf in its future."""
    bias = torch.zeros(len(queries), len(keys), dtype=dtype, device=queries.device)
    return bias.masked_fill_(keys[None, :] > queries[:, None], -torch.inf)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor,
    *,
    causal: bool,
    dropout: float,
    tap: Tap,
) -> Tensor:
    """Attention of queries (B, H, Tq, D) on keys and values (B, H_kv, Tk, D) -> (B, H, Tq, D).

    `bias` (Tq, Tk) or (H, Tq, Tk) is added to the scores and holds the causal mask; `causal` says
    that it holds nothing else, with Tq = Tk. Groups of H / H_kv query heads share a key/value
    head (Ainslie et al. 2023). Picks the form that is faster here, or the one that can be watched.
    """
    if tap.listening or (q.size(2) > 1 and short(q.transpose(1, 2))):
        return attend_plain(q, k, v, bias, dropout=dropout, tap=tap)
    return attend_fused(q, k, v, None if causal else bias, dropout=dropout)


def attend_plain(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, dropout: float, tap: Tap
) -> Tensor:
    """softmax(q k^T / sqrt(D) + bias) v, as in Vaswani et al. 2017, section 3.2.1."""
    groups = q.size(1) // k.size(1)
    if groups > 1:
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
    scores = (q * q.size(-1) ** -0.5) @ k.mT + bias  # (B, H, Tq, Tk)
    weights = tap(F.softmax(scores, dim=-1))  # each row sums to 1
    return F.dropout(weights, dropout, training=dropout > 0) @ v


def attend_fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, *, dropout: float) -> Tensor:
    """The same in one kernel that never stores the (Tq, Tk) weights (Dao et al. 2022).

    `bias` None stands for the plain causal mask of Tq = Tk.
    """
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=bias,
        dropout_p=dropout,
        is_causal=bias is None,
        enable_gqa=q.size(1) != k.size(1),
    )
