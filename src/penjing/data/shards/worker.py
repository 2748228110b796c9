"""`python -m penjing.data.shards.worker FOLDER`: does the tasks that it is told, one a line.

It reads `task 7` or `file 3` on standard input and answers each with one line of JSON: what went
wrong, or nothing. It ends when there is no more input, also because the other end was killed.
"""

import json
import os
import signal
import sys
from pathlib import Path

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
    """Answer until there is no more input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other end's to see
    plan = load_plan(Path(sys.argv[1]))
    for line in sys.stdin:
        answer = {}
        try:
            work(plan, line)
        except PenjingError as error:
            kind = next((name for name in ERRORS if isinstance(error, ERRORS[name])), "DataError")
            answer = {"error": kind, "message": str(error)}
        try:
            os.write(sys.stdout.fileno(), (json.dumps(answer) + "\n").encode())
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
