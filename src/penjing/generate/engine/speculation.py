"""Speculation that is lossless: guesses are verified in one pass, and only right ones are used.

Decoding is bound by reading the weights, so a pass of a few rows takes hardly longer than a pass
of one. The guesses go through the model as if they had been chosen; then the request's own sampler
chooses from the logits of each row in turn, exactly as without guesses, until it chooses something
else than was guessed. Where a row's logits have the same bits in any pass (`Runner.exact`), the
text is therefore the same token for token, greedy or sampled.
"""

from collections.abc import Sequence

from penjing.core.errors import ConfigError
from penjing.generate.engine.drafters import Drafter
from penjing.generate.engine.pace import Acceptance, PassTimes, worthwhile
from penjing.generate.engine.request import Request
from penjing.generate.engine.scheduler import Work
from penjing.generate.runners.runner import Runner

MOST = 8  # guesses for a text in a pass
PROBE = 64  # passes between two tries where it did not seem to pay


class Speculation:
    """Decides before each pass how many guesses to verify, and learns from what came of them.

    Raises:
        ConfigError: the runner's rows depend on each other: the output could change.
    """

    def __init__(self, drafter: Drafter, runner: Runner) -> None:
        if not runner.exact:
            raise ConfigError(
                f"Speculation needs a runner whose rows are exact; {runner.name} is not: with it "
                "the text could change. Use our CPU kernels (kernels='on'), or do without."
            )
        self.drafter, self.times = drafter, PassTimes()
        self.drafted = self.accepted = 0
        self._overall = Acceptance.like(0.5)
        self._rates: dict[Request, Acceptance] = {}
        self._guesses: dict[Request, list[int]] = {}
        self._idle_passes = 0

    def draft(self, work: Sequence[Work], most_rows: int) -> None:
        """Add guesses to the `work` of texts that speak, `most_rows` in all, where it pays."""
        speaking = [item for item in work if item.speaks and item.n == 1]
        requests = [item.request for item in speaking]
        most = [_room(request) for request in requests]
        rates = [self._rate(request).rate for request in requests]
        guesses: list[list[int]] = []
        if self.drafter.free:
            guesses = self.drafter.guess(requests, most)
            most = [len(guess) for guess in guesses]
        rows = sum(item.n for item in work)
        counts = worthwhile(rates, most, rows, self.times, self.drafter.round_seconds)
        if any(most) and not any(counts):
            self._idle_passes += 1
            if self._idle_passes % PROBE == 0:
                counts = most
        if not self.drafter.free and any(counts):
            guesses = self.drafter.guess(requests, counts)
        for item, guess, count in zip(speaking, guesses, counts, strict=False):  # or no guesses
            used = min(count, most_rows)
            most_rows -= used
            item.draft = guess[:used]
            self._guesses[item.request] = guess

    def learn(self, item: Work, chosen: Sequence[int]) -> None:
        """What was `chosen` after a pass in which `item` may have had guesses."""
        guess = self._guesses.pop(item.request, [])
        if not guess:
            return
        tried = guess[: max(1, len(item.draft))]  # one that was not verified can be judged too
        right = 0
        while right < min(len(tried), len(chosen)) and tried[right] == chosen[right]:
            right += 1
        wrong = int(right < min(len(tried), len(chosen)))
        for record in (self._rate(item.request), self._overall):
            record.record(right, wrong)
        self.drafted += len(item.draft)
        self.accepted += min(right, len(item.draft))

    def forget(self, request: Request) -> None:
        """`request` has ended."""
        self.drafter.forget(request)
        self._rates.pop(request, None)
        self._guesses.pop(request, None)

    def _rate(self, request: Request) -> Acceptance:
        if request not in self._rates:
            self._rates[request] = Acceptance.like(self._overall.rate)
        return self._rates[request]


def _room(request: Request) -> int:
    """Guesses that could be of use: each may be followed by one token more."""
    assert request.past is not None, "not admitted"
    return max(0, min(MOST, request.left - 1, request.capacity - request.past.length - 1))
