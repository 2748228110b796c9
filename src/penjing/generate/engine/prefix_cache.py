"""The pasts of an engine's texts, within a budget: lent, taken back, and used again.

A past that was read once serves every text that begins with the same ids: the next turn of a
conversation, or many requests with one system prompt. (vLLM shares pages, Kwon et al. 2023; here a
past is whole, and is taken over or copied: a copy costs far less than reading again.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from penjing.generate.engine.request import Request
from penjing.generate.runners.runner import Past, Runner

WORTH_WAITING = 16  # tokens of a prompt that another text is reading just now
WORTH_KEEPING = 64  # an idle past that would lose more tokens is copied, if there is room


@dataclass(eq=False)
class Idle:
    """A past whose request has ended."""

    past: Past
    shareable: list[int]  # the ids that it holds


class PrefixCache:
    """Lends pasts of `runner` to requests; all together hold at most `budget` positions.

    Texts share only what was read in whole pieces (`Runner.piece`), so that a request's logits
    have the same bits whether it found its beginning here or read it itself.
    """

    def __init__(self, runner: Runner, budget: int, *, reuse: bool = True) -> None:
        self.runner, self.budget, self.reuse = runner, budget, reuse
        self.lent: list[Request] = []
        self.idle: list[Idle] = []  # the one used longest ago first

    @property
    def lent_tokens(self) -> int:
        """Positions that running requests hold."""
        return sum(r.past.capacity for r in self.lent if r.past is not None)

    @property
    def used_tokens(self) -> int:
        """Positions that are held in all."""
        return self.lent_tokens + sum(idle.past.capacity for idle in self.idle)

    def needed(self, request: Request) -> int:
        """Positions that are reserved for `request`."""
        return self._in_blocks(request.capacity)

    def lend(self, request: Request) -> bool:
        """Give `request` a past with as much of its prompt as is known; false when none fits now.

        One that brought its own keeps it.
        """
        if request.past is not None:
            return True
        needed = self.needed(request)
        if self.lent_tokens + needed > self.budget:
            return False
        source, shared = self._longest(request.ids)
        past: Past | None = None
        if isinstance(source, Idle):
            past = self._copy(source, shared, needed) or self._take_over(source, shared, needed)
        elif source is not None and source.past is not None and self._make_room(needed):
            past = source.past.fork(shared, needed)
        if past is None:
            shared = 0
            self._make_room(needed)
            past = self.runner.new_past(needed)
        request.past, request.reused, request.whole = past, shared, shared
        self.lent.append(request)
        return True

    def soon_known(self, request: Request) -> bool:
        """Whether much of the prompt of `request` is being read for another text just now."""
        if request.past is not None:
            return False
        soon = self._being_read(request.ids)
        return soon >= WORTH_WAITING and soon - self._longest(request.ids)[1] >= WORTH_WAITING

    def take_back(self, request: Request, *, keep: bool = True) -> None:
        """`request` has ended. Its past is kept for others, unless it may be damaged."""
        past = request.past
        if past is None or request not in self.lent:
            return
        self.lent.remove(request)
        request.past = None
        ids = request.shareable
        known = any(idle.shareable[: len(ids)] == ids for idle in self.idle)
        if keep and self.reuse and ids and not known:
            past.trim(len(ids))
            self.idle = [i for i in self.idle if ids[: len(i.shareable)] != i.shareable]
            self.idle.append(Idle(past, ids))

    def clear(self) -> None:
        """Forget what nobody uses."""
        self.idle.clear()

    def _longest(self, ids: Sequence[int]) -> tuple[Idle | Request | None, int]:
        """Who holds most of the beginning of `ids`, and how much of it can be shared."""
        best: Idle | Request | None = None
        most, piece = 0, self.runner.piece
        holders: list[Idle | Request] = [*self.lent, *self.idle] if self.reuse else []
        for holder in holders:  # of equals the last: idle ones come for nothing
            shared = common_prefix(ids[:-1], holder.shareable)  # one is read anew, for its logits
            shared = shared // piece * piece
            if shared and shared >= most:
                best, most = holder, shared
        return best, most

    def _being_read(self, ids: Sequence[int]) -> int:
        """How much of the beginning of `ids` is in prompts that are being read."""
        reading = [r for r in self.lent if self.reuse and r.n_output == 0]
        shared = max((common_prefix(ids[:-1], r.ids) for r in reading), default=0)
        return shared // self.runner.piece * self.runner.piece

    def _copy(self, source: Idle, shared: int, capacity: int) -> Past | None:
        """A copy of what is shared, if the rest is worth keeping and there is room for both."""
        self._touch(source)
        if len(source.shareable) - shared <= WORTH_KEEPING:
            return None
        if not self._make_room(capacity, spare=source):
            return None
        return source.past.fork(shared, capacity)

    def _take_over(self, source: Idle, shared: int, capacity: int) -> Past | None:
        """The past itself, if it can be made large enough."""
        more = capacity - source.past.capacity
        if not self._make_room(max(0, more), spare=source):
            return None
        self.idle.remove(source)
        source.past.trim(shared)
        if more > 0 or source.past.capacity > 2 * capacity:
            source.past.resize(capacity)
        return source.past

    def _in_blocks(self, n_tokens: int) -> int:
        """Positions that memory for `n_tokens` has: it is taken in whole blocks."""
        return -(-n_tokens // self.runner.block) * self.runner.block

    def _touch(self, source: Idle) -> None:
        self.idle.remove(source)
        self.idle.append(source)

    def _make_room(self, tokens: int, spare: Idle | None = None) -> bool:
        """Until `tokens` more fit, take from idle pasts what they leave empty, then whole ones, the
        one used longest ago first."""
        kept = spare.past.capacity if spare is not None else 0
        if self.lent_tokens + kept + tokens > self.budget:
            return False
        lacking = self.used_tokens + tokens - self.budget
        others = [idle for idle in self.idle if idle is not spare]
        for idle in others:
            enough = self._in_blocks(len(idle.shareable))
            if lacking > 0 and enough < idle.past.capacity:
                lacking -= idle.past.capacity - enough
                idle.past.resize(enough)
        for idle in others:
            if lacking > 0:
                lacking -= idle.past.capacity
                self.idle.remove(idle)
        return True


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids are the same from the beginning on; by bisection, comparing whole slices."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
