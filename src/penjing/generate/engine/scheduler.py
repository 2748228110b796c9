"""What a pass reads: who is admitted, whose next token is computed, whose prompt goes on.

Continuous batching (Yu et al. 2022, "Orca"): texts join and leave between any two passes. Prompts
are read in chunks within a budget (Agrawal et al. 2024, "Sarathi-Serve"), so that a long one never
makes the others wait for more than one pass.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from penjing.core.errors import GenerationError
from penjing.generate.engine.prefix_cache import PrefixCache
from penjing.generate.engine.request import Request
from penjing.generate.runners.runner import Chunk, Past


@dataclass
class Work:
    """One request's part of a pass: its next `n` ids, and guesses of what follows them."""

    request: Request
    n: int
    draft: list[int] = field(default_factory=list)

    def chunk(self) -> Chunk:
        """What the runner is to read."""
        assert self.request.past is not None, "not admitted"
        n_logits = 1 + len(self.draft) if self.speaks else 0
        return Chunk(self.request.past, self.request.unread(self.n) + self.draft, n_logits)

    @property
    def speaks(self) -> bool:
        """Whether a token is chosen afterwards; a prompt that is not read whole has none."""
        return self.n == self.request.n_unread


class Scheduler:
    """The queue, who is running, and the plan of the next pass.

    Requests are admitted in the order they came, as soon as memory for their *longest* possible
    text is free: what was admitted is never thrown out again. Every running text gets its next
    token in every pass; what is left of `pass_tokens` is shared among the prompts.
    """

    def __init__(self, cache: PrefixCache, *, max_running: int, pass_tokens: int) -> None:
        self.cache, self.max_running, self.pass_tokens = cache, max_running, pass_tokens
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.refused: dict[Request, Exception] = {}  # who could not be let in, and are to be told

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.running or self.waiting)

    @property
    def present(self) -> list[Request]:
        """All who are here: first those who run."""
        return [*self.running, *self.waiting]

    def add(self, request: Request, past: Past | None = None) -> None:
        """Queue `request`, which may bring a past of its own.

        Raises:
            GenerationError: another text is still using that past.
        """
        if past is not None:
            if any(other.past is past for other in self.present):
                raise GenerationError(
                    "The past that was given belongs to a text that is not finished. Wait for its "
                    "end, or give a copy (`fork`)."
                )
            past.trim(min(past.length, request.n_prompt - 1))  # one token must be read anew
            request.past = past
        self.waiting.append(request)

    def plan(self) -> list[Work]:
        """The next pass; empty when there is nothing to do."""
        self.admit()
        speaking: list[Work] = []
        reading: list[Request] = []
        for request in self.running:
            request.slide()
            if request.n_unread == 1:
                speaking.append(Work(request, 1))
            else:
                reading.append(request)
        if not reading:
            return speaking
        budget = self.pass_tokens - len(speaking)
        piece = self.cache.runner.piece
        work = speaking + (_pieces if piece > 1 else _shares)(reading, budget, piece)
        served = {id(item.request) for item in work}
        self.running.sort(key=lambda r: id(r) in served)  # stable: who got nothing comes first
        return work

    def admit(self) -> None:
        """Let requests in while there are places and memory.

        One whose beginning is just being read for another waits for it; those behind it do not.
        """
        for request in list(self.waiting):
            if len(self.running) == self.max_running:
                return
            if self.cache.soon_known(request):
                continue
            try:
                if not self.cache.lend(request):
                    return
            except Exception as error:  # no memory, whoever says it and how
                self.cache.clear()
                self.refused[request] = error
            else:
                self.running.append(request)
            self.waiting.remove(request)

    def remove(self, request: Request, *, keep: bool = True) -> None:
        """`request` has ended, wherever it stands; its past becomes free at once."""
        if request in self.running:
            self.running.remove(request)
            self.cache.take_back(request, keep=keep)
        elif request in self.waiting:
            self.waiting.remove(request)


def _shares(reading: Sequence[Request], budget: int, _: int) -> list[Work]:
    """Equal shares of the budget; what a short prompt leaves of its share goes to the others."""
    work = []
    for done, request in enumerate(sorted(reading, key=lambda r: r.n_unread)):
        n = min(request.n_unread, budget // (len(reading) - done))
        budget -= n
        if n:
            work.append(Work(request, n))
    return work


def _pieces(reading: Sequence[Request], budget: int, piece: int) -> list[Work]:
    """Whole pieces, at least one a pass, in the order of `reading`: who waited longest first."""
    work: list[Work] = []
    for request in reading:
        assert request.past is not None, "not admitted"
        n = min(request.n_unread, piece - request.past.length % piece)
        if not work or n <= budget:
            budget -= n
            work.append(Work(request, n))
    return work
