"""GGUF files, version 2 and 3: metadata and tensors of llama.cpp and all that is built on it.

    "GGUF", version, number of tensors, number of metadata entries
    each entry: name, type, value
    each tensor: name, dimensions (the fastest first), type, place in the data
    the data, each tensor at a multiple of `general.alignment`

Specification: ggml, docs/gguf.md. The file is mapped, not read: weights are loaded as they
are used. Its header is checked whole when it is opened: damaged or malicious, it is refused with
one clear error.
"""

import mmap
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.cursor import MAX_NAME, Cursor, Value
from penjing.formats.gguf.metadata import Metadata
from penjing.quantization.ggml import BLOCK_TYPES

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_ENTRIES = 1 << 16  # metadata entries
MAX_TENSORS = 1 << 16
MAX_DIMENSIONS = 4  # GGML_MAX_DIMS
_SMALLEST_ENTRY = 8 + 4 + 1  # bytes: length of the name, type, a value of one byte
_SMALLEST_TENSOR = 8 + 4 + 8 + 4 + 8
_TYPE_NAMES = {block.number: name for name, block in BLOCK_TYPES.items()}
_OTHER_TYPES = {10: "Q2_K", 11: "Q3_K", 20: "IQ4_NL", 23: "IQ4_XS", 39: "MXFP4"}  # the usual ones


@dataclass(frozen=True)
class TensorInfo:
    """What the file says of a tensor."""

    shape: tuple[int, ...]  # rows first, as NumPy and torch have it: (N, K)
    type: str  # a name of BLOCK_TYPES
    start: int  # byte in the file
    size: int  # bytes


class GgufFile:
    """An open GGUF file, checked, with its tensors still on disk.

    `metadata` holds numbers, texts, lists of texts, and NumPy arrays of numbers.
    """

    def __init__(
        self,
        path: Path,
        metadata: Metadata,
        tensors: Mapping[str, TensorInfo],
        mapped: mmap.mmap,
    ) -> None:
        self.path, self.metadata, self.tensors = path, metadata, tensors
        self._mapped, self._data = mapped, np.frombuffer(mapped, np.uint8)

    @classmethod
    def open(cls, path: str | Path) -> "GgufFile":
        """Map a file and check all that its header says.

        Raises:
            CheckpointError: it is missing, no GGUF file, damaged, or of a form that is not read.
        """
        path = Path(path)
        mapped = _map(path)
        cursor = Cursor(np.frombuffer(mapped, np.uint8), path)
        _check_version(cursor, path)
        n_tensors = cursor.count("tensors", each=_SMALLEST_TENSOR, limit=MAX_TENSORS)
        n_entries = cursor.count("metadata entries", each=_SMALLEST_ENTRY, limit=MAX_ENTRIES)
        metadata = _metadata(cursor, n_entries)
        tensors = _tensors(cursor, n_tensors, _alignment(cursor, metadata), len(mapped))
        return cls(path, Metadata(metadata, path), tensors, mapped)

    def release(self) -> None:
        """Drop the pages that were read from memory; they are read again when they are needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor's rows, (N, bytes of a row), of a vector (1, bytes): a view of the
        file."""
        info = self.tensors[name]
        n = prod(info.shape[:-1])
        return self._data[info.start : info.start + info.size].reshape(n, info.size // n)


def _map(path: Path) -> mmap.mmap:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path} is no file: a GGUF file was expected.")
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: it is empty
        raise CheckpointError(f"{path} cannot be read as a GGUF file: {error}.") from error


def _check_version(cursor: Cursor, path: Path) -> None:
    magic = cursor.u32().to_bytes(4, "little")
    if magic != MAGIC:
        raise CheckpointError(
            f"{path} is no GGUF file: it begins with {magic!r}, not {MAGIC!r}. llama.cpp's older "
            "files (GGML, GGJT) must be converted to GGUF first."
        )
    version = cursor.u32()
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in VERSIONS and swapped in (1, *VERSIONS):
        raise CheckpointError(
            f"{path} is a big-endian GGUF file, made for another kind of processor. Use the "
            "little-endian one, or turn it with gguf-py's `gguf_convert_endian.py`."
        )
    if version not in VERSIONS:
        raise CheckpointError(
            f"{path} is a GGUF file of version {version}; versions 2 and 3 are read. "
            "Convert the model again with a llama.cpp of today."
        )


def _metadata(cursor: Cursor, n: int) -> dict[str, Value]:
    out: dict[str, Value] = {}
    for number in range(n):
        cursor.where = f"metadata entry {number}"
        key = cursor.text(MAX_NAME)
        cursor.where = f"metadata {key[:80]!r}"
        if key in out:
            raise cursor.error("it is there twice")
        out[key] = cursor.value()
    return out


def _alignment(cursor: Cursor, metadata: Mapping[str, Value]) -> int:
    cursor.where = "metadata 'general.alignment'"
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise cursor.error(f"{alignment!r:.40} is no power of two")
    return alignment


def _tensors(cursor: Cursor, n: int, alignment: int, file_size: int) -> dict[str, TensorInfo]:
    """All tensors, within the file and none over another."""
    found: dict[str, TensorInfo] = {}
    for number in range(n):
        cursor.where = f"tensor {number}"
        name = cursor.text(MAX_NAME)
        cursor.where = f"tensor {name[:80]!r}"
        if name in found:
            raise cursor.error("it is there twice")
        found[name] = _tensor(cursor, alignment)
    data_start = -(-cursor.position // alignment) * alignment
    end, last = data_start, "the header"
    for name, info in sorted(found.items(), key=lambda item: item[1].start):
        start = data_start + info.start
        cursor.where = f"tensor {name[:80]!r}"
        if start < end:
            raise cursor.error(f"its data overlap those of {last[:80]!r}")
        if info.size > file_size - start:
            raise cursor.error(
                f"its data end at byte {start + info.size:,}, but the file at {file_size:,}"
            )
        found[name] = TensorInfo(info.shape, info.type, start, info.size)
        end, last = start + info.size, name
    return found


def _tensor(cursor: Cursor, alignment: int) -> TensorInfo:
    """One entry of the list, its place still counted from the beginning of the data."""
    n_dimensions = cursor.u32()
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        raise cursor.error(f"it has {n_dimensions} dimensions, not 1 to {MAX_DIMENSIONS}")
    sizes = [cursor.u64() for _ in range(n_dimensions)]
    number = cursor.u32()
    start = cursor.u64()
    if number not in _TYPE_NAMES:
        raise cursor.error(
            f"ggml's type {_OTHER_TYPES.get(number, number)} cannot be computed here "
            f"({', '.join(BLOCK_TYPES)} can)",
            "Take a file of the same model in one of these.",
        )
    name = _TYPE_NAMES[number]
    block = BLOCK_TYPES[name]
    if 0 in sizes or sizes[0] % block.weights:
        raise cursor.error(
            f"the sizes {sizes} are not possible in {name}, in blocks of {block.weights}"
        )
    if start % alignment:
        raise cursor.error(f"it begins at {start:,}, no multiple of {alignment}")
    size = prod(sizes[1:]) * block.row_bytes(sizes[0])
    return TensorInfo(tuple(reversed(sizes)), name, start, size)
