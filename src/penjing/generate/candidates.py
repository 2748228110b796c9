"""What is shown of a step: the likeliest tokens, and what each sampler step kept and removed."""

from collections.abc import Callable

import torch
from torch import Tensor

from penjing.core.types import Candidate, FilterRecord
from penjing.generate.sampling import top_k

TokenText = Callable[[int], str]

SHOWN = 10  # candidates in each list of a FilterRecord


def likeliest(scores: Tensor, n: int) -> list[int]:
    """Ids of the `n` largest scores (V,), best first, lower ids first among equals; -inf never."""
    if n == 0:
        return []
    ids = (top_k(scores, n) > -torch.inf).nonzero().squeeze(1)
    order = scores[ids].sort(descending=True, stable=True).indices
    best: list[int] = ids[order][:n].tolist()
    return best


def candidates(logprobs: Tensor, n: int, text: TokenText) -> tuple[Candidate, ...]:
    """The `n` likeliest tokens of log-probabilities (V,), best first."""
    return tuple(Candidate(id, text(id), logprobs[id].item()) for id in likeliest(logprobs, n))


def filter_record(step: str, before: Tensor, after: Tensor, text: TokenText) -> FilterRecord:
    """What one sampler step did, from the logits (V,) before and after it."""
    gone = after == -torch.inf
    removed = before.log_softmax(0).masked_fill(~gone, -torch.inf)
    return FilterRecord(
        step=step,
        kept=int((~gone).sum()),
        removed=candidates(removed, SHOWN, text),
        top=candidates(after.log_softmax(0), SHOWN, text),
    )
