"""What is shown of a step: the likeliest tokens, and what each sampler step kept and removed."""

from collections.abc import Callable, Sequence

import numpy as np

from penjing.core.types import Candidate, FilterRecord
from penjing.generate.sampling.draw import logsumexp
from penjing.kernels.scores import Logits

TokenText = Callable[[int], str]

SHOWN = 10  # candidates in each list of a FilterRecord


class Distribution:
    """softmax(logits), asked for the log-probabilities of some tokens.

    Args:
        logits: float32 (V,), at least one of them above -inf.
        vocab_size: tokens from here on are padding: they have their probability, but are no
            candidates.
        total: logsumexp(logits), for those who have it.
    """

    def __init__(
        self, logits: Logits, vocab_size: int | None = None, total: float | None = None
    ) -> None:
        self._tokens = logits[:vocab_size]
        self._total = logsumexp(logits) if total is None else total

    def logprob(self, id: int) -> float:
        """The natural logarithm of a token's probability; exactly the same as in `likeliest`."""
        return float(self._tokens[id]) - self._total

    def named(self, ids: Sequence[int]) -> tuple[float, ...]:
        """The log-probabilities of `ids`, in their order."""
        return tuple(map(self.logprob, ids))

    def likeliest(self, n: int, text: TokenText) -> tuple[Candidate, ...]:
        """The `n` likeliest tokens, best first, lower ids first among equals."""
        return self._candidates(likeliest(self._tokens, n), text)

    def likeliest_of(self, ids: Sequence[int], n: int, text: TokenText) -> tuple[Candidate, ...]:
        """The `n` likeliest of `ids`, which ascend."""
        places = np.asarray(ids, np.intp)
        best = likeliest(self._tokens[places], n)
        return self._candidates(places[best].tolist(), text)

    def _candidates(self, ids: Sequence[int], text: TokenText) -> tuple[Candidate, ...]:
        return tuple(Candidate(id, text(id), self.logprob(id)) for id in ids)


def likeliest(scores: Logits, n: int) -> list[int]:
    """Places of the `n` largest scores, best first, the lower first among equals; -inf never."""
    n = min(n, len(scores))
    if n == 0:
        return []
    place = len(scores) - n
    best = np.flatnonzero(scores >= np.partition(scores, place)[place])
    best = best[scores[best] > -np.inf]
    order = (-scores[best]).argsort(kind="stable")[:n]
    ids: list[int] = best[order].tolist()
    return ids


def filter_record(step: str, before: Logits, after: Logits, text: TokenText) -> FilterRecord:
    """What one sampler step did, from the logits (V,) before and after it."""
    removed = np.flatnonzero((after == -np.inf) & (before > -np.inf))
    return FilterRecord(
        step=step,
        kept=int(np.count_nonzero(after > -np.inf)),
        removed=Distribution(before).likeliest_of(removed.tolist(), SHOWN, text),
        top=Distribution(after).likeliest(SHOWN, text),
    )
