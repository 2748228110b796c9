"""safetensors files, one or several shards, as a table of arrays that stay on disk."""

import json
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from penjing.core.errors import CheckpointError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_TYPES: dict[str, str] = {  # NumPy's names for safetensors'; bfloat16 is read as its bits
    "BF16": "<u2",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "u1",
    "BOOL": "?",
}


@dataclass(frozen=True)
class Header:
    """What a file says of a tensor before one reads it."""

    shape: tuple[int, ...]
    dtype: str  # as safetensors names it: "F32", "BF16", "I8", ...


class TensorFiles(Mapping[str, NDArray[Any]]):
    """The tensors of a model directory, by name, read when asked for; their headers at once.

    They are the mapped file itself, and can be written: what is written stays in memory.

    Raises:
        CheckpointError: a file is missing or damaged, or lies outside the directory.
    """

    def __init__(self, folder: Path, canonical: Callable[[str], str]) -> None:
        index = folder / INDEX
        names = _shards(index) if index.exists() else [SINGLE]
        self.paths = tuple(folder / name for name in names)
        self.headers: dict[str, Header] = {}
        self._where: dict[str, tuple[mmap.mmap, int]] = {}  # the file, and the first byte in it
        for name in names:
            path = folder / name
            if path.parent != folder or not path.is_file():
                raise CheckpointError(f"{folder} has no weights: {name} is missing.")
            with _damage(path):
                self._open(path, canonical)

    def _open(self, path: Path, canonical: Callable[[str], str]) -> None:
        with safe_open(path, framework="np"):  # it checks all that the header says
            pass
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        start = 8 + int.from_bytes(mapped[:8], "little")
        for stored, info in json.loads(mapped[8:start]).items():
            if stored != "__metadata__":
                self.headers[canonical(stored)] = Header(tuple(info["shape"]), info["dtype"])
                self._where[canonical(stored)] = mapped, start + info["data_offsets"][0]

    def __getitem__(self, name: str) -> NDArray[Any]:
        mapped, begin = self._where[name]
        header = self.headers[name]
        flat: NDArray[Any] = np.frombuffer(
            mapped, _TYPES[header.dtype], count=prod(header.shape), offset=begin
        )
        return (flat if flat.flags.aligned else flat.copy()).reshape(header.shape)

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
