"""How far a quantized model is from the original: on the same text, position by position.

Both see the same windows, so their difference has a much narrower interval than either figure: a
hard window is hard for both.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.data.batches import IGNORED, Tokens, windows
from penjing.evaluate.loss import CHUNK, check_tokens
from penjing.generate.inference import inference
from penjing.generate.runners.runner import Chunk, Runner
from penjing.model.base import LanguageModel
from penjing.transform.interval import Interval, mean_per_token

ROWS = 2048  # tokens that go through a model at once

Around = Callable[[], AbstractContextManager[None]]
Tick = Callable[[float], None]


@dataclass(frozen=True)
class Quality:
    """A model on a text, and beside the original. Intervals are of 95 %, over windows."""

    perplexity: Interval
    change: Interval  # of the loss against the original, nats per token, window by window
    divergence: Interval  # KL(original || this), nats per token
    agreement: Interval  # share of positions where both have the same likeliest token
    n_tokens: int
    n_windows: int


class Reference:
    """The original on a text: what its head was given at each position, and its own figures.

    The hidden states (tokens, C) are kept and the logits made again from them, since the logits
    (tokens, V) of a large vocabulary would not fit.

    Args:
        tokens: the text.
        window: T; windows do not overlap, each token but the first is predicted once.
        limit: at most this many tokens, from the beginning of the text.
        tick: is told the share that is done.

    Raises:
        DataError: fewer than two tokens.
    """

    itself: Quality  # the original beside itself

    def __init__(
        self,
        model: LanguageModel,
        tokens: Tokens,
        *,
        window: int,
        limit: int,
        tick: Tick = lambda done: None,
    ) -> None:
        check_tokens(tokens)
        ids = tokens.ids[: limit + 1]
        self._tokens = Tokens(ids, tokens.n_bytes, tokens.n_documents)
        self._window = min(window, len(ids) - 1)
        self._hidden: list[Tensor] = []
        self._head = model.get_parameter("unembedding.weight").detach().clone()
        self.itself = self.compare(model, tick=tick)

    def compare(
        self, model: LanguageModel, around: Around = nullcontext, tick: Tick = lambda done: None
    ) -> Quality:
        """`model` beside the original; `around` is what its forward passes run in."""
        sums: list[Tensor] = []
        total = -(-(len(self._tokens.ids) - 1) // self._window)
        with inference(model), around():
            for n, (inputs, targets) in enumerate(self._batches()):
                states = model.hidden(inputs)  # (B, T, C)
                if n == len(self._hidden):  # the first to be seen is the original
                    self._hidden.append(states)
                sums.append(self._sums(self._hidden[n], states, model, targets))
                tick(min(1.0, sum(map(len, sums)) / total))
        counts, nll, change, divergence, agreement = torch.cat(sums).T
        return Quality(
            perplexity=mean_per_token(nll, counts).exp(),
            change=mean_per_token(change, counts),
            divergence=mean_per_token(divergence, counts),
            agreement=mean_per_token(agreement, counts),
            n_tokens=int(counts.sum()),
            n_windows=len(counts),
        )

    def runtime(
        self, runner: Runner, model: LanguageModel, around: Around = nullcontext, windows: int = 4
    ) -> Interval:
        """KL(model || runner), nats per token: what a runtime's own arithmetic adds, on the first
        `windows` of the text."""
        sums: list[float] = []
        counts: list[int] = []
        inputs = torch.cat([batch for batch, _ in self._batches()])[:windows]
        with inference(model), around():
            for ids in inputs:
                past = runner.new_past(len(ids))
                scores = runner.forward([Chunk(past, ids.tolist(), len(ids))])[0]
                divergence = _divergence(model(ids[None])[0], torch.from_numpy(scores.logits))
                sums.append(float(divergence.sum(dtype=torch.float64)))
                counts.append(len(ids))
        return mean_per_token(torch.tensor(sums), torch.tensor(counts))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = max(1, ROWS // self._window)
        for batch in windows(self._tokens, self._window, rows):
            yield batch.inputs, batch.targets

    def _sums(
        self, hidden: Tensor, states: Tensor, model: LanguageModel, targets: Tensor
    ) -> Tensor:
        """(B, 5) float64 for each window: tokens, loss, change of loss, divergence, agreements."""
        rows = max(1, CHUNK // model.config.vocab_size)
        per_position = [
            _figures(F.linear(a, self._head), model.head(b[None])[0], wanted)
            for a, b, wanted in zip(
                torch.split(hidden.flatten(0, 1), rows),
                torch.split(states.flatten(0, 1), rows),
                torch.split(targets.flatten(), rows),
                strict=True,
            )
        ]
        return torch.cat(per_position).view(*targets.shape, 5).sum(1)


def _figures(original: Tensor, ours: Tensor, targets: Tensor) -> Tensor:
    """(rows, 5) float64 from logits (rows, V); 0 where the target is ignored."""
    p, q = original.float().log_softmax(-1), ours.float().log_softmax(-1)
    wanted = targets.clamp(min=0)[:, None]
    before, after = -p.gather(1, wanted)[:, 0], -q.gather(1, wanted)[:, 0]
    same = (original.argmax(-1) == ours.argmax(-1)).float()
    divergence = (p.exp() * (p - q)).sum(-1)
    figures = torch.stack([torch.ones_like(after), after, after - before, divergence, same], dim=1)
    return figures.double() * (targets != IGNORED)[:, None]


def _divergence(original: Tensor, ours: Tensor) -> Tensor:
    """KL(original || ours) at each position, (rows,) from logits (rows, V)."""
    p, q = original.float().log_softmax(-1), ours.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)
