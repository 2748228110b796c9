"""How logits are computed, for one text or many: the seam between the engine and the arithmetic.

The engine decides which tokens of which texts are read in a pass; a `Runner` reads them. It is the
only thing that knows whether torch or our own kernels do the work.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

from penjing.kernels.scores import Scores
from penjing.model.config import ModelConfig


class Past(Protocol):
    """What a model keeps of the tokens that it has read. `model.cache.Cache` is one."""

    length: int  # positions filled
    capacity: int  # positions that fit

    def trim(self, length: int) -> None:
        """Forget everything from position `length` on."""

    def resize(self, capacity: int) -> None:
        """Make room for `capacity` positions, layer by layer, so that never both are whole."""

    def fork(self, length: int | None = None, capacity: int | None = None) -> Self:
        """An independent copy of the first `length` positions (all), with room for `capacity`
        (as many as this one)."""


class Chunk(NamedTuple):
    """The next tokens of one text: `ids` come after what `past` holds, and are appended to it."""

    past: Past
    ids: Sequence[int]  # at least one
    n_logits: int = 1  # logits of the last n of `ids`; 0 while a prompt is not read whole


class Runner(ABC):
    """Reads chunks of several texts in one pass."""

    config: ModelConfig
    name: str  # for people: "kernels (avx512)", "torch (float32, cpu)"
    exact: bool  # a row's logits have the same bits whatever rows are in the same chunk or pass
    device: str = "cpu"  # where the pasts lie
    bytes_per_token: int  # of a past, for each position of its capacity

    # Tokens of a prompt that are read together or not at all; 1, any number will do, where rows are
    # exact. Pieces end at multiples of it, so that a text's logits do not depend on who else is
    # being served.
    piece: int = 1

    # Memory for a past is taken in multiples of this many positions.
    block: int = 1

    @abstractmethod
    def new_past(self, capacity: int) -> Past:
        """An empty past with room for `capacity` positions."""

    @abstractmethod
    def forward(self, chunks: Sequence[Chunk]) -> list[Scores]:
        """Read all chunks; for each the logits (n_logits, V), float32, of the tokens after its
        last `n_logits` ids, and perhaps their summaries. No two chunks may share a past.

        Raises:
            GenerationError: a past has no room.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back threads and memory, if it holds any of its own."""
