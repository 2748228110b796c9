"""A team of threads that work through a pass together, and cost nothing while there is none.

Who is awake takes part. A worker that waits is counted at the gate; whoever opens a pass takes all
that are counted there, and nobody else: so no pass ever waits for a thread that sleeps. A worker
waits in machine code without Python's lock: it spins for a moment, then gives way to other
programs between looks, and after some milliseconds it goes back to Python, to sleep until called:
a token's sampling takes less, so that decoding finds all threads awake.

The arithmetic of a pass must not depend on how many take part. A pass runs to its end once it is
open: an interrupt is seen after it. A child process after `fork` begins with a new team.
"""

import os
import threading
import weakref
from collections.abc import Callable

import numpy as np

from penjing.compiling.functions import part
from penjing.core.errors import GenerationError
from penjing.kernels import atomic
from penjing.kernels.memory import prefetch
from penjing.kernels.pages import LINE

# The team's words, each on a cache line of its own (64 bytes).
GATE = 0  # number of the pass, times COUNT, + how many workers wait for the next one
TICKET = 64  # the next worker's number in the open pass
SIZE = 128  # threads in the open pass
ARRIVED = 192  # of them, at the current barrier
ROUND = 256  # barriers passed
CLOSED = 320  # 1: the workers are to go home
HIRED = 384  # workers there are, asleep or not
ALONE = 448  # 1: the next pass is for whoever opens it alone
N_LINES = 8

COUNT = 1 << 16
SPINS = 60  # pauses before a waiting thread gives way: about a microsecond
LOOKS = 20_000  # looks at the gate, giving way between them: some milliseconds
COMING = 400  # looks for workers that were just called

# Of the address of the words: one pass, if this thread leads; else all that come, until none does.
Entry = Callable[[int, bool], None]


@part
def barrier(words, n_threads):
    """Wait until all threads of the pass are here."""
    barrier_before(words, n_threads, 0, 0, 0)


@part
def barrier_before(words, n_threads, ahead, apart, n_bytes):
    """The same; who waits has memory fetched: `n_bytes` at `ahead`, and as many `apart` from it."""
    if n_threads == 1:
        return
    current = atomic.load(words + ROUND)
    if atomic.add(words + ARRIVED, 1) == n_threads - 1:
        atomic.store(words + ARRIVED, 0)
        atomic.store(words + ROUND, current + 1)
        return
    looks = fetched = 0
    while atomic.load(words + ROUND) == current:
        if fetched < n_bytes:
            prefetch(ahead + fetched)
            prefetch(ahead + apart + fetched)
            fetched += LINE
            continue
        looks += 1
        if looks < SPINS:
            atomic.pause()
        else:
            atomic.give_way()


@part
def open_pass(words):
    """Start a pass with the workers at the gate -> threads in it, the caller's included.

    One that is to be alone leaves them waiting.

    Workers that are not there yet are waited for, but not long: a busy machine may have no core
    for them.
    """
    if atomic.load(words + ALONE) != 0:
        return 1
    hired = atomic.load(words + HIRED)
    looks = 0
    while atomic.load(words + GATE) % COUNT < hired and looks < SPINS + COMING:
        looks += 1
        if looks < SPINS:
            atomic.pause()
        else:
            atomic.give_way()
    while True:
        gate = atomic.load(words + GATE)
        size = gate % COUNT + 1
        atomic.store(words + TICKET, 1)
        atomic.store(words + SIZE, size)
        if atomic.exchange_if(words + GATE, gate, (gate // COUNT + 1) * COUNT):
            return size


@part
def await_pass(words):
    """A worker waits at the gate -> its number in the pass that opened, or 0: none did."""
    now = atomic.add(words + GATE, 1) // COUNT
    looks = 0
    while True:
        gate = atomic.load(words + GATE)
        if gate // COUNT != now:
            return atomic.add(words + TICKET, 1)
        looks += 1
        if looks < SPINS:
            atomic.pause()
        elif looks < SPINS + LOOKS and atomic.load(words + CLOSED) == 0:
            atomic.give_way()
        elif atomic.exchange_if(words + GATE, gate, gate - 1):
            return 0


class _State:
    """What the workers share with the team. They don't know the team: it can be forgotten."""

    def __init__(self, entry: Entry, workers: int) -> None:
        self.entry = entry
        memory = np.zeros(8 * (N_LINES + 1), np.int64)
        self.memory = memory[-memory.ctypes.data % 64 // 8 :]  # from a cache line's beginning
        self.memory[HIRED // 8] = workers
        self.words = self.memory.ctypes.data
        self.call = threading.Condition()
        self.asleep = 0
        self.closed = False
        self.plan = 0

    def work(self) -> None:
        """The life of a worker: passes, as long as they come; then sleep."""
        while True:
            self.entry(self.words, False)
            with self.call:
                if self.closed:
                    return
                self.asleep += 1
                self.call.wait()
                self.asleep -= 1

    def wake(self) -> None:
        """Call those that sleep. One that is just falling asleep misses this call, not the next."""
        if self.asleep:
            with self.call:
                self.call.notify_all()

    def close(self) -> None:
        """Send the workers home."""
        with self.call:
            self.closed = True
            self.memory[CLOSED // 8] = 1
            self.call.notify_all()


class Team:
    """`threads` threads, the caller's included, that run `entry` together.

    entry(words, leads) calls a compiled function that lets go of Python's lock. One thread leads:
    it opens a pass (`open_pass`) and works in it; the others wait for one (`await_pass`). What
    there is to do must lie in memory before the pass is opened.
    """

    def __init__(self, entry: Entry, threads: int) -> None:
        self.entry, self.threads = entry, threads
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._state = _State(self.entry, self.threads - 1)
        self._close = weakref.finalize(self, self._state.close)
        for number in range(1, self.threads):
            worker = threading.Thread(
                target=self._state.work, name=f"penjing-kernels-{number}", daemon=True
            )
            worker.start()

    def run(self, *, alone: bool = False) -> None:
        """One pass, from its beginning to its end, with all or alone. One caller at a time.

        Raises:
            GenerationError: the team is closed.
        """
        if self._process != os.getpid():
            self._close.detach()  # threads don't follow into a child process
            self._begin()
        if self._state.closed:
            raise GenerationError("This model was closed: load it again to go on with it.")
        self._state.memory[ALONE // 8] = alone
        if not alone:
            self._state.wake()
        self.entry(self._state.words, True)

    def close(self) -> None:
        """End the threads. May be called again."""
        self._close()
