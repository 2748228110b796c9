"""Small tasks whose right answer is known, made at random: associative recall, and order."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from penjing.data.batches import IGNORED, Batch
from penjing.model.base import LanguageModel
from penjing.train.objectives import Objective


class Task(Objective):
    """Batches that are drawn, with a loss at the few positions that have a right answer."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows = rows
        self._generator = torch.Generator().manual_seed(seed)

    @abstractmethod
    def draw(self, rows: int, generator: torch.Generator) -> Batch:
        """So many new sequences."""

    def batch(self, step: int) -> Batch:
        return self.draw(self._rows, self._generator)

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        asked = batch.targets != IGNORED  # (B, T)
        logits = model.head(model.hidden(batch.inputs)[asked][None])[0]  # (N, V)
        return F.cross_entropy(logits.float(), batch.targets[asked])


@dataclass(frozen=True)
class RecallShape:
    """How much there is to keep in mind."""

    pairs: int = 32  # in one sequence, all with different keys
    values: int = 16  # that a key may have; chance is one in so many

    @property
    def length(self) -> int:
        """Tokens of a sequence: each pair is one, each question another."""
        return 2 * self.pairs

    @property
    def vocab_size(self) -> int:
        """The values, then the keys as questions, then every key with every value."""
        return self.values + self.pairs + self.pairs * self.values


class Recall(Task):
    """Associative recall: `k3=v7 k1=v2 k3?`; at the question k3? the answer is v7.

    Each sequence holds every key twice, first with a value drawn at random, then as a question, in
    an order drawn at random. So a question may follow its pair at once or come at the very end
    (multi-query associative recall, Arora et al. 2023, with every distance in each sequence). A
    pair is one token, so that nothing but memory is asked for: with key and value as two tokens a
    model must first learn to join neighbours.
    """

    def __init__(self, shape: RecallShape, rows: int, seed: int) -> None:
        super().__init__(rows, seed)
        self.shape = shape

    def draw(self, rows: int, generator: torch.Generator) -> Batch:
        return self.draw_with_distances(rows, generator)[0]

    def draw_with_distances(self, rows: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
        """A batch, and at each question the tokens since its pair (B, T)."""
        n, values = self.shape.pairs, self.shape.values
        places = torch.rand(rows, 2 * n, generator=generator).argsort(1).view(rows, n, 2)
        told, asked = places.amin(2), places.amax(2)  # (B, n), of key 0 .. n - 1
        keys = torch.arange(n).expand(rows, n)
        answers = torch.randint(values, (rows, n), generator=generator)
        inputs = torch.zeros(rows, self.shape.length, dtype=torch.int64)
        inputs.scatter_(1, told, values + n + keys * values + answers)
        inputs.scatter_(1, asked, values + keys)
        targets = torch.full_like(inputs, IGNORED).scatter_(1, asked, answers)
        distances = torch.zeros_like(inputs).scatter_(1, asked, asked - told)
        return Batch(inputs, targets), distances


class Order(Task):
    """Which of two characters came first? The same characters in another order, another answer.

    A sequence is a permutation of `characters` and a question mark, as ids 0 .. n; its target, at
    the question mark alone, is whichever of the characters `first` and `second` came first.
    """

    def __init__(
        self,
        characters: str,
        first: str,
        second: str,
        permutations: Tensor,
        *,
        rows: int,
        seed: int,
    ) -> None:
        super().__init__(rows, seed)
        self.characters = characters
        self.pair = characters.index(first), characters.index(second)
        self._permutations = permutations  # (N, n): those to train on

    def draw(self, rows: int, generator: torch.Generator) -> Batch:
        picked = torch.randint(len(self._permutations), (rows,), generator=generator)
        return self.ask(self._permutations[picked])

    def ask(self, permutations: Tensor) -> Batch:
        """Permutations (B, n) with the question and its answer."""
        rows, n = permutations.shape
        inputs = torch.cat((permutations, permutations.new_full((rows, 1), n)), dim=1)
        first, second = self.pair
        places = permutations.argsort(1)  # (B, n): where each character stands
        earlier = places[:, first] < places[:, second]
        targets = torch.full_like(inputs, IGNORED)
        targets[:, -1] = torch.where(earlier, first, second)
        return Batch(inputs, targets)

    def encode(self, phrase: str) -> Tensor:
        """A phrase of these characters (1, n)."""
        return torch.tensor([[self.characters.index(character) for character in phrase]])
