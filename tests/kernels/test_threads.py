"""A team: all take part, nobody waits for a sleeper, an idle one costs nothing, and it ends."""

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numba import njit

from penjing.core.errors import GenerationError
from penjing.kernels import atomic
from penjing.kernels.threads import SIZE, Team, await_pass, barrier, open_pass

STEPS = 200


@njit(nogil=True)
def steps(words: int, me: int, team: int, counts: int) -> None:
    """Each step adds 1 to a common counter, and sees what all have added after the barrier."""
    wrong = 0
    for step in range(STEPS):
        atomic.add(counts, 1)
        barrier(words, team)
        if atomic.load(counts) != (step + 1) * team:
            wrong += 1
        barrier(words, team)
    atomic.add(counts + 8, wrong)
    atomic.add(counts + 16 + 8 * me, 1)
    barrier(words, team)


@njit(nogil=True)
def pass_of_steps(words: int, leads: bool, counts: int) -> None:
    """One pass, or all that come."""
    me = 0 if leads else await_pass(words)
    while leads or me != 0:
        steps(words, me, open_pass(words) if leads else atomic.load(words + SIZE), counts)
        if leads:
            return
        me = await_pass(words)


class Crew:
    def __init__(self, threads: int) -> None:
        self.counts = np.zeros(16, np.int64)
        address = self.counts.ctypes.data
        self.team = Team(lambda words, leads: pass_of_steps(words, leads, address), threads)

    def run(self) -> int:
        """How many took part; each did all steps, together with the others."""
        self.counts[:] = 0
        self.team.run()
        took_part = int(self.counts[2:].sum())
        assert self.counts[0] == STEPS * took_part
        assert self.counts[1] == 0
        assert set(self.counts[2 : 2 + took_part]) == {1}
        return took_part


@pytest.fixture
def crew() -> Iterator[type[Crew]]:
    made: list[Crew] = []

    class Kept(Crew):
        def __init__(self, threads: int) -> None:
            super().__init__(threads)
            made.append(self)

    yield Kept
    for one in made:
        one.team.close()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_all_who_are_awake_take_part(threads: int, crew: type[Crew]) -> None:
    """Also with more threads than processors."""
    one = crew(threads)
    took_part = [one.run() for _ in range(20)]
    assert max(took_part) <= threads
    assert sum(took_part) > len(took_part) * (1 if threads > 1 else 0)


def test_sleepers_are_woken(crew: type[Crew]) -> None:
    one = crew(2)
    took_part = []
    for _ in range(10):
        time.sleep(0.01)  # much longer than a worker stays awake
        took_part += [one.run() for _ in range(3)]
    assert 2 in took_part


def test_an_idle_team_takes_no_time(crew: type[Crew]) -> None:
    one = crew(3)
    one.run()
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.05


def test_one_thread_is_no_team(crew: type[Crew]) -> None:
    before = threading.active_count()
    assert crew(1).run() == 1
    assert threading.active_count() <= before  # an earlier team may just be ending


def test_threads_end_when_the_team_is_closed_or_forgotten() -> None:
    before = set(threading.enumerate())
    closed, forgotten = Crew(3), Crew(3)
    workers = set(threading.enumerate()) - before
    assert len(workers) == 4
    closed.run()
    closed.team.close()
    closed.team.close()
    with pytest.raises(GenerationError, match="closed"):
        closed.run()
    del forgotten
    gc.collect()
    for worker in workers:
        worker.join(timeout=10)
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_child_process_begins_anew(crew: type[Crew]) -> None:
    one = crew(2)
    one.run()
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if one.run() >= 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert one.run() >= 1


def test_the_interpreter_ends_without_being_asked_to_close() -> None:
    code = (
        "from penjing.kernels.threads import Team; import time;"
        "team = Team(lambda words, leads: time.sleep(0.001), 3); team.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 0
