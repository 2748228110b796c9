"""The runner that every model has: its own torch module, one chunk after the other."""

from collections.abc import Sequence

import torch

from penjing.core.errors import GenerationError
from penjing.generate.inference import inference
from penjing.generate.runners.runner import Chunk, Past, Runner
from penjing.kernels.scores import Logits, Scores
from penjing.model.base import LanguageModel
from penjing.model.cache import Cache


class TorchRunner(Runner):
    """Runs a torch model of any family, on its device and in its precision.

    Matrix products of different shapes round differently, so a row's bits depend on the chunk
    that it is in (`exact` is false). Each chunk is run by itself and prompts are cut at multiples
    of `piece`, which makes a text's logits independent of the texts beside it all the same.
    """

    exact = False

    def __init__(self, model: LanguageModel, *, piece: int = 256) -> None:
        self.model, self.config, self.piece = model, model.config, piece
        weight = next(model.parameters())
        self.device = str(weight.device)
        self.name = f"torch ({str(weight.dtype).removeprefix('torch.')}, {weight.device})"
        self.bytes_per_token = model.new_cache(capacity=1).nbytes

    def new_past(self, capacity: int) -> Past:
        return self.model.new_cache(capacity=capacity)

    def forward(self, chunks: Sequence[Chunk]) -> list[Scores]:
        with inference(self.model):
            return [Scores(self._read(chunk)) for chunk in chunks]

    def close(self) -> None:
        """It holds nothing of its own."""

    def _read(self, chunk: Chunk) -> Logits:
        ids = torch.tensor([chunk.ids], device=self.device)  # (1, T)
        hidden = self.model.hidden(ids, cache=self._own(chunk.past))  # (1, T, C)
        last = hidden[:, ids.size(1) - chunk.n_logits :]
        logits: Logits = self.model.head(last)[0].float().cpu().numpy()  # (n_logits, V)
        return logits

    def _own(self, past: Past) -> Cache:
        if isinstance(past, Cache) and past.config == self.config:
            return past
        raise GenerationError(
            "The past was made for another model. Make it with `new_past` of the same runner."
        )
