"""Where a run goes."""

from itertools import count
from pathlib import Path

from penjing.core.files import check_free

RUNS = Path("runs")  # in the working directory


def run_directory(name: str, out: Path | None = None) -> Path:
    """`out` if given, else runs/NAME; numbered -2, -3, ... if that is taken.

    Raises:
        StorageError: `out` exists already, or cannot be written: better said now than after hours.
    """
    if out is not None:
        check_free(out)
        return out
    numbered = (RUNS / (name if n == 1 else f"{name}-{n}") for n in count(1))
    return next(path for path in numbered if not path.exists())
