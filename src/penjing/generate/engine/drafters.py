"""Who guesses the next tokens: the text's own earlier words, or a smaller model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import perf_counter

from penjing.core.errors import ConfigError, GenerationError, TokenizerError
from penjing.generate.engine.prefix_cache import common_prefix
from penjing.generate.engine.request import Request
from penjing.generate.runners.runner import Chunk, Past, Runner
from penjing.generate.sampling.sampler import Sampler
from penjing.tokenizer.tokenizer import Tokenizer

RUNS = (6, 3, 2)  # so many ids of the text's end are looked for earlier in the text


class Drafter(ABC):
    """Guesses what follows a text. A wrong guess costs time, never a wrong token."""

    free = False  # guessing costs nothing, so it may be asked for more than will be used
    round_seconds = 0.0  # of one more guess for every text
    bytes_per_token = 0  # of memory that it takes for each position of a request's past

    @abstractmethod
    def guess(self, requests: Sequence[Request], counts: Sequence[int]) -> list[list[int]]:
        """At most `counts` ids for each of `requests`; fewer where it knows none."""

    @abstractmethod
    def forget(self, request: Request) -> None:
        """`request` has ended."""


class Lookup(Drafter):
    """Prompt lookup (Saxena 2023): the last ids go on as they did earlier in the text.

    It pays where texts repeat themselves or their prompt: code, summaries, corrections, tables.
    """

    free = True

    def __init__(self) -> None:
        # For each text: where each run of ids was seen last (the place after it), and how many
        # ids have been entered.
        self._seen: dict[Request, dict[tuple[int, ...], int]] = {}
        self._entered: dict[Request, int] = {}

    def guess(self, requests: Sequence[Request], counts: Sequence[int]) -> list[list[int]]:
        return [self._guess(r, n) if n else [] for r, n in zip(requests, counts, strict=True)]

    def forget(self, request: Request) -> None:
        self._seen.pop(request, None)
        self._entered.pop(request, None)

    def _guess(self, request: Request, count: int) -> list[int]:
        ids = request.ids
        seen = self._seen.setdefault(request, {})
        for end in range(self._entered.get(request, 0) + 1, len(ids)):
            for n in RUNS:
                if n <= end:
                    seen[tuple(ids[end - n : end])] = end
        self._entered[request] = len(ids) - 1
        for n in RUNS:
            at = seen.get(tuple(ids[-n:]))
            if at is not None:
                return _continue(ids, at, count)
        return []


def _continue(ids: Sequence[int], at: int, count: int) -> list[int]:
    """`count` ids from place `at` on; past the end it reads what it has just written, so that a
    short period goes round."""
    text = list(ids[at:])
    for place in range(count - len(text)):
        text.append(text[place])
    return text[:count]


class DraftModel(Drafter):
    """A small model with the same vocabulary (Leviathan et al. 2023; Chen et al. 2023).

    It draws by a copy of the request's own sampler, random numbers included, so that it agrees as
    often as the two distributions let it, greedy or not.

    Raises:
        ConfigError: the vocabularies differ, or the draft model has fewer tokens than they.
    """

    def __init__(
        self,
        runner: Runner,
        theirs: Tokenizer,
        tokenizer: Tokenizer,
        *,
        pass_tokens: int = 256,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        if not same_vocabulary(theirs, tokenizer):
            raise ConfigError(
                f"The draft model's vocabulary ({theirs.vocab_size} tokens) is not the model's "
                f"({tokenizer.vocab_size}): its guesses would mean other words. Choose a draft "
                "model that was made with the same tokenizer."
            )
        if runner.config.vocab_size < tokenizer.vocab_size:
            raise ConfigError(
                f"The draft model has logits for {runner.config.vocab_size} tokens, but its "
                f"tokenizer has {tokenizer.vocab_size}. Use the tokenizer that it was trained with."
            )
        self.runner, self.n_tokens, self.pass_tokens = runner, tokenizer.vocab_size, pass_tokens
        self.bytes_per_token, self.clock = runner.bytes_per_token, clock
        self._texts: dict[Request, tuple[Past, list[int]]] = {}  # what was read of each

    def guess(self, requests: Sequence[Request], counts: Sequence[int]) -> list[list[int]]:
        guesses: list[list[int]] = [[] for _ in requests]
        samplers: dict[int, Sampler] = {}
        chunks: dict[int, Chunk] = {}
        for i, (request, count) in enumerate(zip(requests, counts, strict=True)):
            chunk = self._behind(request, count) if count else None
            if chunk is not None:
                chunks[i] = chunk
        while chunks:
            began = self.clock()
            spoken = self.runner.forward(list(chunks.values()))
            if all(len(chunk.ids) == 1 for chunk in chunks.values()):
                self.round_seconds += 0.1 * (self.clock() - began - self.round_seconds)
            following: dict[int, Chunk] = {}
            for (i, chunk), scores in zip(chunks.items(), spoken, strict=True):
                request = requests[i]
                self._texts[request][1].extend(chunk.ids)
                if not chunk.n_logits:
                    continue  # its beginning is not read whole yet
                sampler = samplers.setdefault(i, request.sampler.fork())
                try:
                    id = sampler.choose(scores.logits[-1, : self.n_tokens])
                except GenerationError:
                    continue  # no token is possible after a wrong guess
                guesses[i].append(id)
                if len(guesses[i]) < counts[i] and chunk.past.length < chunk.past.capacity:
                    following[i] = Chunk(chunk.past, [id])
            chunks = following
        return guesses

    def forget(self, request: Request) -> None:
        self._texts.pop(request, None)

    def _behind(self, request: Request, count: int) -> Chunk | None:
        """What it must read to know the text as it is now; None when that does not fit."""
        window = request.window
        assert request.past is not None, "not admitted"
        capacity = min(request.past.capacity, self.runner.config.context_length)
        if len(window) > capacity:
            return None
        if request not in self._texts:
            self._texts[request] = (self.runner.new_past(capacity), [])
        past, known = self._texts[request]
        same = common_prefix(window[:-1], known)  # wrong guesses are forgotten
        past.trim(same)
        del known[same:]
        ids = window[same : same + self.pass_tokens]
        return Chunk(past, ids, n_logits=int(same + len(ids) == len(window)))


def same_vocabulary(a: Tokenizer, b: Tokenizer) -> bool:
    """Whether every id is the same token in both."""
    if a.fingerprint == b.fingerprint:
        return True
    return a.vocab_size == b.vocab_size and all(
        _token(a, id) == _token(b, id) for id in range(a.vocab_size)
    )


def _token(tokenizer: Tokenizer, id: int) -> bytes | None:
    try:
        return tokenizer.token_bytes(id)
    except TokenizerError:
        return None  # an id that is not used
