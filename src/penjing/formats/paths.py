"""Whether something stands at a path that a user has named."""

from pathlib import Path

from penjing.core.errors import PenjingError


def exists(path: Path, error: type[PenjingError]) -> bool:
    """Whether it does; `error` is raised where the system refuses to say, as of too long a name."""
    try:
        return path.exists()
    except OSError as refusal:
        raise error(f"{path} cannot be read: {refusal.strerror}.") from refusal
