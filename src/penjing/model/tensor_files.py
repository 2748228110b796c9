"""safetensors files, one or several shards, as a table of tensors that stay on disk."""

import errno
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from penjing.core.errors import CheckpointError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


@dataclass(frozen=True)
class Header:
    """What a file says of a tensor before one reads it."""

    shape: tuple[int, ...]
    dtype: str  # as safetensors names it: "F32", "BF16", "I8", ...


class TensorFiles(Mapping[str, Tensor]):
    """The tensors of a model directory, by name, read when asked for; their headers at once.

    Raises:
        CheckpointError: a file is missing or damaged, or lies outside the directory.
    """

    def __init__(self, folder: Path, canonical: Callable[[str], str]) -> None:
        index = folder / INDEX
        names = _shards(index) if index.exists() else [SINGLE]
        self.paths = tuple(folder / name for name in names)
        self.headers: dict[str, Header] = {}
        self._where: dict[str, tuple[Path, str]] = {}
        self._files: dict[Path, Any] = {}  # open, and mapped into memory
        for name in names:
            path = folder / name
            if path.parent != folder or not path.is_file():
                raise CheckpointError(f"{folder} has no weights: {name} is missing.")
            with _damage(path):
                file: Any = safe_open(path, framework="pt")
                self._files[path] = file
                for stored in file.keys():  # noqa: SIM118 (it is no dictionary)
                    header = file.get_slice(stored)
                    shape = tuple(header.get_shape())
                    self.headers[canonical(stored)] = Header(shape, header.get_dtype())
                    self._where[canonical(stored)] = path, stored

    def __getitem__(self, name: str) -> Tensor:
        path, stored = self._where[name]
        with _damage(path):
            tensor: Tensor = self._files[path].get_tensor(stored)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def _shards(index: Path) -> list[str]:
    """The files that hold the weights, by the index that lists where each tensor lies."""
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(name, str) for name in where.values()):
        raise CheckpointError(f"{index} is damaged: weight_map must name a file for each tensor.")
    return sorted(set(where.values()))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or was written only in part ({error}). Restore it from a copy."
        ) from error


def save_tensors(
    tensors: Mapping[str, Tensor], file: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write one safetensors file, readable by all as the umask of the system would have it.

    Raises:
        OSError: the disk refuses, with its number, which safetensors hides in its message.
    """
    try:
        save_file(dict(tensors), file, metadata=dict(metadata or {}) or None)
        file.chmod(0o644)
    except SafetensorError as error:
        number = str(error).rpartition("os error ")[2].partition(")")[0]
        raise OSError(int(number) if number.isdigit() else errno.EIO, str(error)) from error


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of a model directory.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file.parent} is not a whole model directory: {file.name} is missing."
        ) from error
    except (ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{file} is damaged: {error}.") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{file} is damaged: a JSON object was expected.")
    return data
