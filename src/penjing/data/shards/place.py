"""Where shards lie, told without reading them."""

from pathlib import Path

INDEX = "index.json"


def is_shards(path: str | Path) -> bool:
    """Whether a folder of shards lies there, damaged or not."""
    path = Path(path)
    return path.is_dir() and (path / INDEX).is_file()
