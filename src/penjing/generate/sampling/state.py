"""What sampling steps remember of one text, and how it moves on with each token."""

from collections.abc import Collection, Sequence
from copy import copy, deepcopy

import numpy as np

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.sampling.dry import Breaks
from penjing.generate.sampling.mirostat import Surprise
from penjing.generate.sampling.penalties import History
from penjing.generate.sampling.structured import Grammar
from penjing.kernels.scores import Logits
from penjing.tokenizer.tokenizer import Tokenizer


class State:
    """One text as the steps see it; what its settings do not ask for is None.

    Two streams of random numbers come from one `seed`: one number a token for the draw, and one
    for whether XTC strikes. So XTC moves no draw.

    Raises:
        GenerationError: a step needs the tokenizer and there is none, or the structure is wrong.
    """

    def __init__(
        self,
        params: SamplingParams,
        vocab_size: int,
        prompt: Sequence[int],
        seed: int,
        tokenizer: Tokenizer | None,
        stop_ids: Collection[int],
    ) -> None:
        self.history = History(vocab_size, prompt, params.penalty_window)
        self.breaks: Breaks | None = None
        if params.dry_multiplier > 0 and params.dry_sequence_breakers:
            needed = _needed(tokenizer, "dry_sequence_breakers")
            window = self.history.text[-params.dry_window :].tolist()
            self.breaks = Breaks(needed, params.dry_sequence_breakers, window)
        self.grammar: Grammar | None = None
        if params.structure is not None:
            needed = _needed(tokenizer, "structure")
            self.grammar = Grammar(params.structure, needed, stop_ids)
        self.surprise: Surprise | None = None
        if params.mirostat and params.temperature > 0:
            self.surprise = Surprise(params.mirostat_tau, params.mirostat_eta)
        whole = seed % 2**64
        self.draws = np.random.Generator(np.random.PCG64(whole))
        apart = np.random.SeedSequence(whole, spawn_key=(1,))
        self.strikes = np.random.Generator(np.random.PCG64(apart))

    def advance(self, id: int, logits: Logits) -> None:
        """`id` was chosen from the logits (V,) that the last step left."""
        self.history.add(id)
        if self.breaks is not None:
            self.breaks.add(id)
        if self.grammar is not None:
            self.grammar.add(id)
        if self.surprise is not None:
            self.surprise.observe(logits, id)

    def fork(self) -> "State":
        """The same state, which goes on by itself."""
        twin = copy(self)
        twin.history = self.history.fork()
        twin.breaks = self.breaks and self.breaks.fork()
        twin.grammar = self.grammar and self.grammar.fork()
        twin.surprise = self.surprise and self.surprise.fork()
        twin.draws, twin.strikes = deepcopy(self.draws), deepcopy(self.strikes)
        return twin


def _needed(tokenizer: Tokenizer | None, setting: str) -> Tokenizer:
    if tokenizer is None:
        raise GenerationError(f"{setting} is about text: it needs the tokenizer.")
    return tokenizer
