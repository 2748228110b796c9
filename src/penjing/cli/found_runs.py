"""The runs in a folder, and whether somebody works on them."""

from collections.abc import Iterator
from pathlib import Path

from penjing.core.errors import DataError
from penjing.report.log import LOG, SETTINGS, RunLog

LOCK = "lock"


def find_runs(folder: Path) -> Iterator[Path]:
    """The folder itself if it is a run, else those runs that lie right in it.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Name one that holds runs, or a run.")
    for place in [folder] if _is_run(folder) else sorted(folder.iterdir()):
        if _is_run(place):
            yield place


def read_runs(paths: tuple[Path, ...]) -> list[RunLog]:
    """Their logs; runs of the same name are told apart by their paths.

    Raises:
        DataError: one is no run, or is damaged.
    """
    logs = [RunLog.read(path) for path in paths]
    names = [log.name for log in logs]
    return [
        log if names.count(log.name) == 1 else RunLog(str(path), log.config, log.events)
        for log, path in zip(logs, paths, strict=True)
    ]


def is_running(run: Path) -> bool:
    """Whether a process holds the run's lock."""
    from filelock import FileLock, Timeout

    if not (run / LOCK).is_file():
        return False
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a disk that cannot be written to: nobody works there
        return False
    lock.release()
    return False


def state_of(run: Path, log: RunLog) -> str:
    """`finished`, `failed`, `interrupted` or `running`."""
    unfinished = log.state == "interrupted" and not log.last("done")
    return "running" if unfinished and is_running(run) else log.state


def _is_run(path: Path) -> bool:
    return (path / SETTINGS).is_file() and (path / LOG).is_file()
