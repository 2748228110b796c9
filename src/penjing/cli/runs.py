"""Where a run goes, and what lies there."""

from itertools import count
from pathlib import Path

from penjing.core.errors import StorageError

RUNS = Path("runs")  # in the working directory


def run_directory(name: str, out: Path | None = None) -> Path:
    """`out` if given, else runs/NAME; numbered -2, -3, ... if that is taken.

    Raises:
        StorageError: `out` exists already.
    """
    if out is not None:
        return free(out)
    numbered = (RUNS / (name if n == 1 else f"{name}-{n}") for n in count(1))
    return next(path for path in numbered if not path.exists())


def free(out: Path) -> Path:
    """The path itself, if nothing stands there: better said now than after hours of work.

    Raises:
        StorageError: it exists already.
    """
    if out.exists():
        raise StorageError(f"{out} exists already. Choose another --out, or remove it first.")
    return out


def model_directory(path: Path) -> Path:
    """The model of a run directory; a model directory is its own."""
    inner = path / "model"
    return inner if (inner / "config.json").is_file() else path
