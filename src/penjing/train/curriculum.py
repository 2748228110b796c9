"""Short windows first: the same tokens a step, cheaper attention, and more varied text."""

import torch

from penjing.data.batches import Batch, RandomWindows, Tokens
from penjing.train.config import TrainConfig


class Curriculum:
    """Windows whose length grows during the run (Li et al. 2022, sequence length warm-up).

    Early on a model learns from the nearest tokens only, so long windows are wasted on it. Every
    step has about batch_size * context_length tokens, in as many whole windows as that makes.
    """

    def __init__(
        self,
        tokens: Tokens,
        config: TrainConfig,
        context_length: int,
        generator: torch.Generator,
    ) -> None:
        per_step = config.batch_size * context_length
        self._stages = [
            (first, RandomWindows(tokens, max(1, per_step // length), length, generator))
            for first, length in stages(config, context_length)
        ]

    def batch(self, step: int) -> Batch:
        """The batch of step 0 .. steps - 1."""
        current = next(windows for first, windows in reversed(self._stages) if step >= first)
        return current.next()


def stages(config: TrainConfig, context_length: int) -> list[tuple[int, int]]:
    """(first step, window length) of each stage; the shorter lengths share their part equally."""
    short = [length for length in config.short_contexts if length < context_length]
    lengths = [*sorted(short), context_length]
    share = config.short_fraction * config.steps / max(1, len(short))
    return [(round(i * share), length) for i, length in enumerate(lengths)]
