"""An objective is what a model is trained for: batches, and a loss on them.

There is one training loop. A method (next token, and later SFT, DPO, distillation) is an objective.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from penjing.data.batches import Batch
from penjing.model.base import LanguageModel
from penjing.train.curriculum import Curriculum


class Objective(ABC):
    """What the loop needs of a method."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The batch of step 0 .. steps - 1, of the full size of one optimizer step."""

    @abstractmethod
    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        """The mean loss over the batch's targets, a scalar to differentiate."""

    def state(self) -> dict[str, Tensor]:
        """Its place in the data and in its random numbers; nothing if `batch(step)` tells all."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 (nothing is a choice)
        """Go on from a `state`.

        Raises:
            DataError: it belongs to another text.
        """


class NextToken(Objective):
    """Maximum likelihood: at every position at once, the cross-entropy of the token that follows.

    The causal mask lets one forward pass be T predictions, each from its own past.
    """

    def __init__(self, curriculum: Curriculum) -> None:
        self._curriculum = curriculum

    def batch(self, step: int) -> Batch:
        return self._curriculum.batch(step)

    def state(self) -> dict[str, Tensor]:
        return self._curriculum.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._curriculum.restore(state)

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        device = next(model.parameters()).device
        logits = model(batch.inputs.to(device))  # (B, T, V)
        return F.cross_entropy(logits.flatten(0, 1).float(), batch.targets.to(device).flatten())
