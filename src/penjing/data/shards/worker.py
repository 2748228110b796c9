"""`python -m penjing.data.shards.worker FOLDER`: does the tasks that it is told, one a line.

It reads `task 7` or `file 3` on standard input and answers each with one line of JSON: what went
wrong, or nothing. Before it, a warning is a line of its own. It ends when there is no more input,
also because the other end was killed.
"""

import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from penjing.core.errors import DataError, PenjingError, StorageError, TokenizerError
from penjing.data.shards.plan import Plan, load_plan
from penjing.data.shards.task import encode_task, hash_file

ERRORS = {kind.__name__: kind for kind in (DataError, StorageError, TokenizerError)}
JOBS = {"task": encode_task, "file": hash_file}


def work(plan: Plan, job: str) -> None:
    """Do one job: "task 7" or "file 3"."""
    kind, number = job.split()
    JOBS[kind](plan, int(number))


def main() -> None:
    """Answer until there is no more input, or nobody who listens."""
    warnings.showwarning = _pass_on
    plan = load_plan(Path(sys.argv[1]))
    with suppress(BrokenPipeError):
        for line in sys.stdin:
            try:
                work(plan, line)
                _answer({})
            except PenjingError as error:
                kind = next((n for n in ERRORS if isinstance(error, ERRORS[n])), "DataError")
                _answer({"error": kind, "message": str(error)})


def _answer(answer: dict[str, str]) -> None:
    os.write(sys.stdout.fileno(), (json.dumps(answer) + "\n").encode())


def _pass_on(message: Warning | str, *_place: Any, **_options: Any) -> None:
    """A warning is the other end's to show: once, though each worker has it."""
    _answer({"warning": str(message)})


if __name__ == "__main__":
    main()
