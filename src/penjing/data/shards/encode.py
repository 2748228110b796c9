"""Any amount of text to shards: planned, encoded on all cores, assembled; resumable at any point.

The work lies in a folder beside the shards, NAME.partial, until these are there.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from penjing.core.errors import DataError, StorageError
from penjing.core.events import Listener
from penjing.core.files import check_free, storage_errors, sweep
from penjing.core.meter import JobMeter
from penjing.data.shards.assemble import assemble
from penjing.data.shards.index import Index
from penjing.data.shards.plan import PLAN, Plan, ShardConfig, load_plan, make_plan, unchanged
from penjing.data.shards.task import is_done
from penjing.data.shards.worker import work
from penjing.data.shards.workers import run_jobs
from penjing.tokenizer.tokenizer import Tokenizer

ASSEMBLY = 0.05  # of all the time, about: copying
WORTH = 4  # tasks that take about as long as starting a worker and what it compiles
LOCK_SECONDS = 1.0  # as long as a killed process may take to be gone


def encode_shards(
    sources: Sequence[str | Path],
    tokenizer: Tokenizer,
    out: str | Path,
    config: ShardConfig | None = None,
    *,
    workers: int = 0,
    listener: Listener | None = None,
) -> Index:
    """Encode text into the new folder `out`, which `pretrain` reads like the text itself.

    Called again after a kill, it goes on where it stood. Progress is told as "job" events.

    Args:
        sources: as `read_documents` takes them; what is piped ("-") is kept beside the work.
        workers: processes at most; 0: as many as there are processors. Little text is encoded in
            this process alone, on all processors where the tokenizer can; and with 1 any text is.

    Raises:
        DataError: a source is missing, not text, or has changed since the work was begun.
        ConfigError: a setting cannot work.
        TokenizerError: a text cannot be encoded.
        StorageError: `out` exists, or the disk refuses.
    """
    config, out = config or ShardConfig(), Path(out)
    config.check()
    check_free(out)
    folder = work_folder(out)
    with _alone(folder):
        check_free(out)  # whoever was alone here before may have made it
        sweep(out)
        plan = begin(sources, tokenizer, folder, config)
        meter = _Meter(plan, listener)
        for job in _done(plan, workers or _processors()):
            meter.finished(job)
        index = assemble(plan, out, meter.assembling)
        shutil.rmtree(folder, ignore_errors=True)
    return index


def work_folder(out: Path) -> Path:
    """Where the work of shards in `out` lies until they are there."""
    return out.with_name(f"{out.name}.partial")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else works in this folder until the block ends, or the process does."""
    lock = folder / "lock"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (lock.exists() or (folder / PLAN).exists()):
            raise StorageError(
                f"{folder} holds something else than a work of `penjing data encode`. Move it "
                "away, or choose another place for the shards."
            )
    try:
        with FileLock(lock, timeout=LOCK_SECONDS):
            try:
                yield
            finally:
                if not (folder / PLAN).is_file():  # nothing was begun
                    shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        raise StorageError(
            f"Another process works in {folder}. Wait until it ends, or choose another place."
        ) from error


def begin(
    sources: Sequence[str | Path], tokenizer: Tokenizer, folder: Path, config: ShardConfig
) -> Plan:
    """The plan in a work folder: a new one, or that of a work that was begun.

    Raises:
        DataError: the work there is another: its text, tokenizer or settings differ.
    """
    if not (folder / PLAN).is_file():
        return make_plan(sources, tokenizer, folder, config)
    plan = load_plan(folder)
    differing = [
        name
        for name, same in (
            ("text", unchanged(plan, sources)),
            ("tokenizer", _ids_of(plan.tokenizer) == _ids_of(tokenizer)),
            ("settings", plan.config == config),
        )
        if not same
    ]
    if differing:
        raise DataError(
            f"{folder} holds a work that was begun with another {' and '.join(differing)}. Call "
            "with what it was begun with, and it goes on; or remove the folder, and all begins "
            "anew."
        )
    return plan


def _ids_of(tokenizer: Tokenizer) -> tuple[str, int | None]:
    """What the ids follow from: each document's, and the one between two documents."""
    return tokenizer.fingerprint, tokenizer.eos_id


def jobs(plan: Plan) -> list[str]:
    """What is left to do before the shards can be assembled, the large things first."""
    hashes = [f"file {n}" for n in plan.cut_files if not plan.hashes(n).is_file()]
    return hashes + [f"task {n}" for n in range(len(plan.tasks)) if not is_done(plan, n)]


def _done(plan: Plan, workers: int) -> Iterator[str]:
    """Each job, once it is done."""
    left = jobs(plan)
    crew = min(workers, len(left) // WORTH)
    if crew > 1:
        yield from run_jobs(plan.folder, left, crew)
    else:
        for job in left:
            work(plan, job)
            yield job


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Meter:
    """Tells how far the work is."""

    def __init__(self, plan: Plan, listener: Listener | None) -> None:
        self._plan = plan
        left = jobs(plan)
        self._total = sum(map(self._weight, [f"task {n}" for n in range(len(plan.tasks))])) or 1
        self._now = self._total - sum(map(self._weight, left))
        self._meter = JobMeter(listener, before=self._share(self._now))
        if self._now and left:
            self._tell("going on", self._now)

    def finished(self, job: str) -> None:
        self._now += self._weight(job)
        self._tell("encoding", self._now)

    def assembling(self, share: float) -> None:
        more = ASSEMBLY / (1 - ASSEMBLY) * self._total
        self._tell("writing the shards", self._total + share * more)

    def _weight(self, job: str) -> int:
        kind, number = job.split()
        if kind == "file":
            return 0
        return sum(max(1, part.end - part.start) for part in self._plan.tasks[int(number)])

    def _share(self, done: float) -> float:
        return done / self._total * (1 - ASSEMBLY)

    def _tell(self, label: str, done: float) -> None:
        self._meter.tell(label, self._share(done))
