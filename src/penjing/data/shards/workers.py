"""Several processes that do the jobs of a plan, and one place that hears how they fare."""

import json
import os
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from penjing.core.errors import DataError
from penjing.data.shards.worker import ERRORS

# Each worker uses one core.
_ONE_THREAD = {
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def run_jobs(folder: Path, jobs: Sequence[str], workers: int) -> Iterator[str]:
    """Each job as it is done, in any order. Leaving the iteration ends the workers.

    The workers are plain programs that read what to do and say how it went: nothing is pickled, and
    a program that calls this needs no guard for its main part.

    Raises:
        DataError, StorageError, TokenizerError: what a job raised; or a worker was killed.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    told: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
    crew = [_start(folder) for _ in range(min(workers, len(jobs)))]
    threads = [
        threading.Thread(target=_serve, args=(each, waiting, told), daemon=True) for each in crew
    ]
    try:
        for thread in threads:
            thread.start()
        said = set[str]()
        for _ in jobs:
            while isinstance(done := told.get(), Warning):
                if str(done) not in said:
                    warnings.warn(done, stacklevel=2)
                said.add(str(done))
            if isinstance(done, Exception):
                raise done
            yield done
    finally:
        for each in crew:
            each.kill()  # what it was at is as if never begun
            each.wait()
        for thread in threads:
            thread.join()
        for each in crew:
            for pipe in (each.stdin, each.stdout):
                if pipe is not None:
                    pipe.close()


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "penjing.data.shards.worker", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=os.environ | _ONE_THREAD,
        process_group=0,  # Ctrl-C is this end's to see, which then ends the workers
    )


def _serve(
    worker: subprocess.Popen[str],
    waiting: "queue.SimpleQueue[str]",
    told: "queue.SimpleQueue[str | Exception]",
) -> None:
    """Give one worker job after job, until there are none."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    while True:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        answer = None
        with suppress(OSError):
            worker.stdin.write(job + "\n")
            for line in worker.stdout:
                answer = json.loads(line)
                if "warning" not in answer:
                    break
                told.put(UserWarning(answer["warning"]))
                answer = None
        if answer is None:
            told.put(_gone(worker, job))
            return
        if answer:
            told.put(ERRORS[answer["error"]](answer["message"]))
            return
        told.put(job)


def _gone(worker: subprocess.Popen[str], job: str) -> DataError:
    code = worker.wait()
    why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return DataError(
        f"A worker {why} at {job}. If the memory was full, name fewer --workers; what was done is "
        "kept, and the same command goes on with it."
    )
