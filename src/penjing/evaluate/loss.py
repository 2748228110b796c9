"""How well a model predicts a text: nats per token, perplexity, bits per byte."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.core.errors import DataError
from penjing.data.batches import IGNORED, Tokens, windows
from penjing.generate.inference import inference
from penjing.model.base import LanguageModel

CHUNK = 2**22  # logits looked at together, so that float32 copies stay at 16 MiB


@dataclass(frozen=True)
class LossReport:
    """The cost of a text under a model. Lower is better in all three figures.

    Only bits per byte compares models with different tokenizers.
    """

    loss: float  # mean negative log-likelihood, in nats per token
    perplexity: float  # exp(loss)
    bits_per_byte: float  # total cost in bits / n_bytes
    n_tokens: int  # targets: each token but the first, end tokens included
    n_bytes: int  # of the whole text in UTF-8, its first token's included, end tokens' not

    @classmethod
    def of(cls, total: float, n_tokens: int, n_bytes: int) -> "LossReport":
        """From the total cost in nats."""
        loss = total / n_tokens
        return cls(
            loss=loss,
            perplexity=math.exp(loss) if not loss > 700 else math.inf,
            bits_per_byte=total / math.log(2) / n_bytes,
            n_tokens=n_tokens,
            n_bytes=n_bytes,
        )


def evaluate_loss(
    model: LanguageModel, tokens: Tokens, *, context_length: int, batch_size: int
) -> LossReport:
    """The loss on all of `tokens`, in windows of `context_length` that do not overlap.

    Each token but the very first is predicted exactly once, from those before it in its window:
    the first prediction of a window sees one token, the last `context_length`. So a longer context
    gives a lower loss. Log-softmax in float32 whatever the model's type; the sum in float64.

    Raises:
        DataError: fewer than two tokens, so nothing to predict.
    """
    check_tokens(tokens)
    device = next(model.parameters()).device
    total = torch.zeros((), dtype=torch.float64, device=device)
    n_tokens = 0
    with inference(model):
        for batch in windows(tokens, context_length, batch_size):
            hidden = model.hidden(batch.inputs.to(device))  # (B, T, C)
            total += total_loss(model, hidden, batch.targets.to(device))
            n_tokens += int((batch.targets != IGNORED).sum())
    return LossReport.of(total.item(), n_tokens, tokens.n_bytes)


def total_loss(model: LanguageModel, hidden: Tensor, targets: Tensor) -> Tensor:
    """Sum of the negative log-likelihoods in nats, float64 (); a target of -100 does not count.

    `hidden` (B, T, C) goes through the head in pieces: the logits (B, T, V) of a large vocabulary
    would not fit.
    """
    rows = max(1, CHUNK // model.config.vocab_size)
    total = torch.zeros((), dtype=torch.float64, device=hidden.device)
    pieces = torch.split(hidden.flatten(0, 1), rows), torch.split(targets.flatten(), rows)
    for piece, wanted in zip(*pieces, strict=True):
        logits = model.head(piece[None])[0].float()  # (rows, V)
        total += (
            F.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="none").double().sum()
        )
    return total


def check_tokens(tokens: Tokens) -> None:
    """Raise a DataError when there is nothing to predict, or no text that it would be."""
    if len(tokens.ids) < 2 or tokens.n_bytes < 1:
        raise DataError(
            f"The text to evaluate has {len(tokens.ids)} tokens and {tokens.n_bytes} bytes; at "
            "least two tokens are needed, for each is predicted from those before it. Use a "
            "longer text or a larger split."
        )
