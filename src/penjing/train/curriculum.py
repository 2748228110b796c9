"""Short windows first: the same tokens a step, cheaper attention, and more varied text."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from penjing.data.batches import Batch, RandomWindows, Tokens, Windows
from penjing.train.config import TrainConfig


class Curriculum:
    """Windows whose length grows during the run (Li et al. 2022, sequence length warm-up).

    Early on a model learns from the nearest tokens only, so long windows are wasted on it. Every
    step has about batch_size * context_length tokens, in as many whole windows as that makes.

    `windows` makes the source of one length: (tokens, batch size, length, generator) -> batches.
    """

    def __init__(
        self,
        tokens: Tokens,
        config: TrainConfig,
        context_length: int,
        generator: torch.Generator,
        windows: Callable[[Tokens, int, int, torch.Generator], Windows] = RandomWindows,
    ) -> None:
        self._generator = generator
        per_step = config.batch_size * context_length
        self._stages = [
            (first, windows(tokens, max(1, per_step // length), length, generator))
            for first, length in stages(config, context_length)
        ]

    def batch(self, step: int) -> Batch:
        """The batch of step 0 .. steps - 1."""
        current = next(windows for first, windows in reversed(self._stages) if step >= first)
        return current.next()

    def state(self) -> dict[str, Tensor]:
        """The generator, and the place in the text of each stage."""
        state = {"generator": self._generator.get_state()}
        for first, windows in self._stages:
            state |= {f"{first}.{key}": value for key, value in windows.state().items()}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of the same text and settings.

        Raises:
            DataError: it belongs to another text.
            KeyError: it belongs to other settings.
        """
        for first, windows in self._stages:
            windows.restore({key: state[f"{first}.{key}"] for key in windows.state()})
        self._generator.set_state(state["generator"])


def stages(config: TrainConfig, context_length: int) -> list[tuple[int, int]]:
    """(first step, window length) of each stage; the shorter lengths share their part equally."""
    short = [length for length in config.short_contexts if length < context_length]
    lengths = [*sorted(short), context_length]
    share = config.short_fraction * config.steps / max(1, len(short))
    return [(round(i * share), length) for i, length in enumerate(lengths)]
