"""The engine: many texts at once, one pass after the other.

    engine = Engine(runner, tokenizer)
    for step in engine.submit("床前明月光，"):
        print(step.text, end="")

A pass reads the schedule, runs it, and hands out tokens. Without `start()` passes are run by
whoever waits for a token; after it, by one thread, for any number of others.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from threading import Condition, Lock, RLock, Thread
from time import perf_counter

from penjing.core.errors import BusyError, ConfigError, GenerationError
from penjing.core.types import SamplingParams, TokenStep
from penjing.generate.engine.drafters import Drafter
from penjing.generate.engine.figures import EngineMemory, EngineStats
from penjing.generate.engine.generation import Generation
from penjing.generate.engine.passes import Ended, Passes
from penjing.generate.engine.prefix_cache import PrefixCache
from penjing.generate.engine.request import Overflow, Request, prompt_ids
from penjing.generate.engine.scheduler import Scheduler
from penjing.generate.engine.speculation import Speculation
from penjing.generate.runners.runner import Past, Runner
from penjing.model.memory import keep_freed_blocks
from penjing.tokenizer.tokenizer import Tokenizer


class Engine:
    """Continues many texts at once with one model, within a memory that is known before.

    `cache_tokens` positions of pasts are held at most, or as many as `cache_bytes` hold; by default
    one whole context, or 512 for each running text if that is more. `max_running` texts are in a
    pass, and `max_waiting` more may queue. A pass reads at most `pass_tokens` tokens of prompts.
    `context_length` may bound the model's own. `drafter` guesses tokens (see
    `penjing.generate.engine.speculation`).

    All methods may be called from any thread.

    Raises:
        ConfigError: a setting is out of range, or the drafter cannot be used with this runner.
        GenerationError: the tokenizer does not fit the model.
    """

    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        *,
        cache_tokens: int | None = None,
        cache_bytes: int | None = None,
        max_running: int = 16,
        max_waiting: int = 256,
        pass_tokens: int = 256,
        prefix_cache: bool = True,
        drafter: Drafter | None = None,
        context_length: int | None = None,
        stop_ids: Collection[int] | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        keep_freed_blocks()  # for the logits of each pass, and what sampling makes of them
        if tokenizer.vocab_size > runner.config.vocab_size:
            raise GenerationError(
                f"The tokenizer has {tokenizer.vocab_size} tokens but the model only "
                f"{runner.config.vocab_size}. Use the tokenizer that the model was trained with."
            )
        if stop_ids is None:
            stop_ids = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        self.runner, self.tokenizer, self.stop_ids = runner, tokenizer, frozenset(stop_ids)
        longest = runner.config.context_length
        self.context = longest if context_length is None else min(longest, context_length)
        draft_bytes = drafter.bytes_per_token if drafter is not None else 0
        self._bytes_per_token = runner.bytes_per_token + draft_bytes
        if cache_bytes is not None:
            if cache_tokens is not None:
                raise ConfigError("Give cache_tokens or cache_bytes, not both.")
            _check("cache_bytes", cache_bytes, least=self._bytes_per_token, why="of one token")
            cache_tokens = cache_bytes // self._bytes_per_token
        elif cache_tokens is None:
            blocks = -(-max(self.context, 512 * max_running) // runner.block)
            cache_tokens = blocks * runner.block
        _check("max_running", max_running, least=1)
        _check("max_waiting", max_waiting, least=1)
        _check("cache_tokens", cache_tokens, least=1)
        _check("pass_tokens", pass_tokens, least=max_running, why="a row for each running text")
        _check("context_length", self.context, least=1)
        self.max_waiting = max_waiting
        self.cache = PrefixCache(runner, cache_tokens, reuse=prefix_cache)
        self.scheduler = Scheduler(self.cache, max_running=max_running, pass_tokens=pass_tokens)
        self.speculation = Speculation(drafter, runner) if drafter is not None else None
        self._stats = EngineStats()
        self._passes = Passes(
            runner, self.speculation, most_rows=pass_tokens, stats=self._stats, clock=clock
        )
        self._stepping = Lock()  # held for a pass: one at a time
        self._lock = RLock()  # of the schedule and the figures: never held while computing
        self._wake = Condition(self._lock)
        self._in_pass = False
        self._closing = self._halted = False  # no more is taken; no more is computed
        self._worker: Thread | None = None

    # For those who have a text.

    def submit(
        self,
        prompt: str | Sequence[int],
        params: SamplingParams | None = None,
        *,
        on_overflow: Overflow = "stop",
        stop_ids: Collection[int] | None = None,
        past: Past | None = None,
    ) -> Generation:
        """Queue `prompt`, a text or token ids, to be continued; iterate over what comes back.

        It ends at a token of `stop_ids` (by default the engine's), at a stop string, after
        `max_new_tokens`, or at the context's end, unless that is to "slide". A `past` of one's own
        may hold the prompt's beginning (one vouches that it is the same); it is not shared.

        Raises:
            GenerationError: a prompt or a setting that cannot be used, or that needs more memory
                than the engine has; a past that another text is using; the engine is closed.
            BusyError: too many requests are waiting.
        """
        params = params or SamplingParams()
        request = Request(
            self.tokenizer,
            prompt_ids(prompt, self.tokenizer),
            params,
            context=min(self.context, past.capacity) if past is not None else self.context,
            on_overflow=on_overflow,
            stop_ids=self.stop_ids if stop_ids is None else stop_ids,
        )
        if past is None and (needed := self.cache.needed(request)) > self.cache.budget:
            raise GenerationError(
                f"A prompt of {request.n_prompt} tokens and max_new_tokens="
                f"{params.max_new_tokens} need a cache of {needed} tokens, but the engine has "
                f"{self.cache.budget}. Lower max_new_tokens, or make the engine with "
                f"cache_tokens={needed} or more."
            )
        with self._wake:
            self._check_open()
            if not self._in_pass:
                self._reap()
            self._check_room()
            self.scheduler.add(request, past)
            self._wake.notify()
        return Generation(self, request)

    def next_step(self, request: Request) -> TokenStep | Exception | None:
        """What a `Generation` gives next: a step, an error, or None at the end."""
        while self._worker is None and request.outbox.empty():
            self.step()
        return request.outbox.get()

    def forget(self, request: Request) -> None:
        """Nobody reads on: `request`'s memory is free at once, or after the pass that it is in."""
        with self._lock:
            request.closed = True
            if not self._in_pass:
                self._reap()

    # For those who run it.

    def step(self) -> bool:
        """One pass: read the schedule, run it, hand out tokens. False if there is nothing to do."""
        with self._stepping:
            with self._lock:
                self._reap()
                if self._halted:
                    self._fail_all("The engine was closed before this text was finished.")
                work = self.scheduler.plan()
                while self.scheduler.refused:
                    self._end(*self.scheduler.refused.popitem())
                self._in_pass = bool(work)
            if not work:
                return False
            ended: Ended | None = None
            try:
                ended = self._passes.run(work)
            finally:
                with self._lock:
                    self._in_pass = False
                    if ended is None:  # their pasts are in disorder
                        stopped = GenerationError("The pass that continued it was interrupted.")
                        ended = dict.fromkeys((item.request for item in work), stopped)
                    for request, failure in ended.items():
                        self._end(request, failure)
                    self._reap()
            return True

    def start(self) -> "Engine":
        """Let a thread of its own run the passes, until `close()`."""
        with self._lock:
            self._check_open()
            if self._worker is None:
                self._worker = Thread(target=self._work, name="penjing-engine", daemon=True)
                self._worker.start()
        return self

    def close(self, *, drain: bool = False) -> None:
        """Take no more requests, and end. With `drain` all that were taken are finished first;
        else they end with an error."""
        with self._wake:
            self._closing, self._halted = True, not drain
            self._wake.notify_all()
        if self._worker is not None:
            self._worker.join()
        while self.step():  # without a thread; and whatever that one has left
            pass
        with self._lock:
            self.cache.clear()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def memory(self) -> EngineMemory:
        """What the pasts take now and at most."""
        with self._lock:
            return EngineMemory(
                bytes_per_token=self._bytes_per_token,
                cache_tokens=self.cache.budget,
                lent_tokens=self.cache.lent_tokens,
                idle_tokens=self.cache.used_tokens - self.cache.lent_tokens,
            )

    def stats(self) -> EngineStats:
        """Figures since the engine was made."""
        with self._lock:
            now = {"running": len(self.scheduler.running), "waiting": len(self.scheduler.waiting)}
            if self.speculation is not None:
                now |= {"drafted": self.speculation.drafted, "accepted": self.speculation.accepted}
            return replace(self._stats, **now)

    def _end(self, request: Request, failure: Exception | None) -> None:
        """Free what `request` holds, and tell its reader."""
        self._stats.failed += failure is not None
        self._stats.finished += failure is None and not request.closed
        self._stats.closed += failure is None and request.closed
        self._stats.reused += request.reused
        self.scheduler.remove(request, keep=failure is None)
        if self.speculation is not None:
            self.speculation.forget(request)
        request.outbox.put(failure)

    def _reap(self) -> None:
        """End the requests that nobody reads."""
        for request in self.scheduler.present:
            if request.closed:
                self._end(request, None)

    # The thread.

    def _work(self) -> None:
        try:
            while True:
                with self._wake:
                    while not (self._closing or self.scheduler.busy):
                        self._wake.wait()
                    if self._halted or not self.scheduler.busy:
                        return
                self.step()
        finally:
            with self._lock:
                self._closing = True
                if not self._halted:  # it broke, or there is nothing left: nobody may wait for it
                    self._fail_all("The engine's thread has ended.")

    def _fail_all(self, message: str) -> None:
        for request in self.scheduler.present:
            self._end(request, GenerationError(message))

    def _check_open(self) -> None:
        if self._closing:
            raise GenerationError("The engine is closed. Make a new one.")

    def _check_room(self) -> None:
        """Refuse one more than can run and wait (BusyError)."""
        running, waiting = len(self.scheduler.running), len(self.scheduler.waiting)
        if running + waiting >= self.scheduler.max_running + self.max_waiting:
            seconds = self._seconds_to_room()
            full = f"The engine is full: {running} running, {waiting} waiting."
            raise BusyError(f"{full} Try again in {seconds:.1f} s.", retry_after=seconds)

    def _seconds_to_room(self) -> float:
        """When the next running text must have ended at the latest, as passes go now."""
        passes = min((request.left for request in self.scheduler.running), default=1)
        return max(0.1, passes * self._passes.seconds)


def _check(name: str, value: int, *, least: int, why: str = "") -> None:
    if value < least:
        raise ConfigError(
            f"{name} must be at least {least}{f' ({why})' if why else ''}, got {value}."
        )
