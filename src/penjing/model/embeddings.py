"""The embedding table as it lies in a file: a look-up from ids to vectors, and who is near whom."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.model.checkpoint import Checkpoint
from penjing.model.forms import FORMS
from penjing.quantization.floats import to_float32
from penjing.quantization.tensor import QuantizedTensor

TableName = Literal["embedding", "head"]
Measure = Literal["cosine", "dot", "distance"]


@dataclass(frozen=True)
class Neighbour:
    """A token near another one."""

    id: int
    score: float  # of the measure that was asked for


@dataclass(frozen=True)
class Neighbourhood:
    """Who is near a token, and what that is worth: the same measure over all other tokens."""

    norm: float  # length of its vector
    nearest: tuple[Neighbour, ...]  # the nearest first
    mean: float
    deviation: float


class Embeddings:
    """The vectors of a vocabulary: a row for each token.

    Args:
        table: (V, C), of any float type; uint16 is bfloat16.
        centred: take their mean off all vectors. What all tokens share says nothing of one, and
            often outweighs the rest (Mu and Viswanath 2018, All-but-the-Top).

    Raises:
        CheckpointError: a number in it is a NaN or an infinity.
    """

    def __init__(self, table: NDArray[Any], *, centred: bool = False) -> None:
        self.table: NDArray[np.float32] = to_float32(table)  # (V, C)
        if not bool(np.isfinite(self.table).all()):
            raise CheckpointError(
                "The embedding table holds numbers that are not finite: training has broken the "
                "model, or the file is damaged."
            )
        if centred:
            self.table = self.table - self.table.mean(axis=0, dtype=np.float64).astype(np.float32)
        squares = np.einsum("vc,vc->v", self.table, self.table, dtype=np.float64)
        self.norms: NDArray[np.float64] = np.sqrt(squares)  # (V,)

    def __len__(self) -> int:
        return len(self.table)

    def nearest(self, id: int, n: int = 10, measure: Measure = "cosine") -> Neighbourhood:
        """The `n` tokens nearest to one, without itself; of equals that of the lower id first.

        "cosine" and "dot" are the larger the nearer, "distance" (Euclidean) the smaller.

        Raises:
            CheckpointError: the table has no such row.
        """
        if not 0 <= id < len(self):
            raise CheckpointError(f"There is no row {id}: the embedding table has {len(self)}.")
        scores = self._scores(id, measure)
        order = scores.copy() if measure == "distance" else -scores
        order[id] = np.inf
        others = np.delete(scores, id)
        first = np.argsort(order, kind="stable")[: min(n, len(self) - 1)]
        return Neighbourhood(
            norm=float(self.norms[id]),
            nearest=tuple(Neighbour(int(other), float(scores[other])) for other in first),
            mean=float(others.mean()) if len(others) else 0.0,
            deviation=float(others.std()) if len(others) else 0.0,
        )

    def _scores(self, id: int, measure: Measure) -> NDArray[np.float64]:
        """Of all tokens, itself included: (V,)."""
        dots: NDArray[np.float64] = (self.table @ self.table[id]).astype(np.float64)
        if measure == "dot":
            return dots
        if measure == "distance":
            squares = self.norms**2 - 2 * dots + self.norms[id] ** 2
            distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
            return distances
        # A vector without a length has no direction: it is like no other.
        cosines = np.zeros_like(dots)
        lengths = self.norms * self.norms[id]
        np.divide(dots, lengths, out=cosines, where=lengths > 0)
        return cosines


def read_embeddings(
    checkpoint: Checkpoint, which: TableName = "embedding", *, centred: bool = False
) -> Embeddings:
    """The table of a model, without building the model; rows beyond the vocabulary are left out.

    "head" is the one that gives the logits, which in many models is the same.

    Raises:
        CheckpointError: the weights are missing or damaged, or do not fit the configuration.
    """
    config = checkpoint.config
    ours = "embedding.weight"
    if which == "head" and not config.tie_embeddings:
        ours = "unembedding.weight"
    rule = next(rule for rule in FORMS[config.family].rules(config) if rule.ours == ours)
    stored = checkpoint.weights()[rule.theirs[0]]
    table = stored.dequantize() if isinstance(stored, QuantizedTensor) else stored
    try:
        return Embeddings(table[: checkpoint.tokenizer.vocab_size], centred=centred)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}") from error
