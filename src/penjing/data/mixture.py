"""New text with old text mixed in, so that what was learned before is not forgotten."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from penjing.core.errors import DataError
from penjing.data.batches import Batch, RandomWindows, Tokens


class MixedWindows:
    """Training batches in which a fixed share of the rows comes from another text (replay).

    Each step has its share to within one row, and all steps up to any one of them together do too:
    rows are not drawn, they fall due. Within each text, windows are dealt out as in
    `RandomWindows`. A few percent keep much of the old ability (Ibrahim et al. 2024, Simple and
    Scalable Strategies to Continually Pre-train Large Language Models).

    Args:
        replay: the old text.
        fraction: its share of the rows, from 0 to 1.
        tokens, batch_size, context_length, generator: of the new text, as in `RandomWindows`.

    Raises:
        DataError: one of the texts is shorter than one window.
    """

    def __init__(
        self,
        replay: Tokens,
        fraction: float,
        tokens: Tokens,
        batch_size: int,
        context_length: int,
        generator: torch.Generator,
    ) -> None:
        self._per_step = fraction * batch_size
        self._batch_size = batch_size
        self._step = 0
        new = RandomWindows(tokens, batch_size, context_length, generator)
        try:
            old = RandomWindows(replay, batch_size, context_length, generator)
        except DataError as error:
            raise DataError(f"Replay (start.replay): {error}") from error
        self._parts = {"new": new, "replay": old}

    def next(self) -> Batch:
        """The next batch: (B, T) inputs and targets; the rows of the new text come first."""
        n_replay = self._due(self._step + 1) - self._due(self._step)
        self._step += 1
        new = self._parts["new"].take(self._batch_size - n_replay)
        old = self._parts["replay"].take(n_replay)
        return Batch(
            torch.cat([new.inputs, old.inputs]),
            torch.cat([new.targets, old.targets]),
        )

    def state(self) -> dict[str, Tensor]:
        """The step and the place in each text; the generator's state is the caller's to save."""
        state = {"step": torch.tensor(self._step)}
        for name, windows in self._parts.items():
            state |= {f"{name}.{key}": value for key, value in windows.state().items()}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of the same texts, share, batch size and context.

        Raises:
            DataError: the state belongs to another text or context.
            KeyError: it is no mixture's.
        """
        for name, windows in self._parts.items():
            windows.restore({key: state[f"{name}.{key}"] for key in windows.state()})
        self._step = int(state["step"])

    def _due(self, step: int) -> int:
        """How many rows of the old text the first `step` steps have together."""
        return math.floor(step * self._per_step + 0.5)
