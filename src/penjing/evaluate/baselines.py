"""What a loss is worth: figures of predictors that know nothing, or only how common a token is.

A model whose loss is above `uniform` is broken; one near `unigram` has learned no context yet.
"""

import math
from dataclasses import dataclass

import torch

from penjing.data.batches import Tokens
from penjing.evaluate.loss import LossReport, check_tokens


@dataclass(frozen=True)
class Baselines:
    """Two floors to compare a loss with, on the same targets."""

    uniform: LossReport  # every token of the vocabulary equally likely: ln V
    unigram: LossReport  # each token by its frequency in this very text: its entropy


def baselines(tokens: Tokens, vocab_size: int) -> Baselines:
    """The baselines of a split (mostly the validation split), over the targets of `evaluate_loss`.

    Raises:
        DataError: fewer than two tokens.
    """
    check_tokens(tokens)
    targets = tokens.ids[1:]
    n = len(targets)
    counts = torch.bincount(targets).double()
    frequencies = counts[counts > 0] / n
    entropy = -(frequencies * frequencies.log()).sum().item()
    return Baselines(
        uniform=LossReport.of(n * math.log(vocab_size), n, tokens.n_bytes),
        unigram=LossReport.of(n * entropy, n, tokens.n_bytes),
    )
