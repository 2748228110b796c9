"""A text that is being continued, as its reader sees it."""

from collections.abc import Iterator
from typing import Protocol

from penjing.core.types import SamplingParams, TokenStep
from penjing.generate.engine.request import Request
from penjing.tokenizer.tokenizer import Tokenizer


class Source(Protocol):
    """Who computes the steps: an engine."""

    def next_step(self, request: Request) -> TokenStep | Exception | None:
        """The next step, the error that ended it, or None after the last step."""

    def forget(self, request: Request) -> None:
        """Nobody wants more of `request`."""


class Generation(Iterator[TokenStep]):
    """A running generation: iterate over its steps. May be dropped or closed at any time.

    `output_ids` is what has come out of it so far. An error that ends it is raised where the next
    step would have come.
    """

    def __init__(self, engine: Source, request: Request) -> None:
        self._engine, self._request = engine, request
        self.output_ids: list[int] = []
        self.prompt_ids = tuple(request.ids)  # what the model reads
        self._ended = False

    @property
    def tokenizer(self) -> Tokenizer:
        return self._request.tokenizer

    @property
    def params(self) -> SamplingParams:
        return self._request.params

    @property
    def seed(self) -> int:
        """The seed in use, which repeats it: the one asked for, or one drawn at random."""
        return self._request.sampler.seed

    @property
    def reused(self) -> int:
        """Tokens of the prompt that were not computed, because another text began with them."""
        return self._request.reused

    def __next__(self) -> TokenStep:
        if self._ended:
            raise StopIteration
        step = self._engine.next_step(self._request)
        if isinstance(step, TokenStep):
            self.output_ids.append(step.id)
            return step
        self._ended = True
        if step is None:
            raise StopIteration
        raise step

    def close(self) -> None:
        """End it here: further steps are not computed, and its memory is free."""
        if not self._ended:
            self._ended = True
            self._engine.forget(self._request)

    def __del__(self) -> None:
        self._request.closed = True  # no more: a destructor may run anywhere, under any lock
