"""Writing one split: ids into files of limited size, with checksums, and a table of documents."""

import hashlib
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from penjing.data.shards.index import BLOCK, DOCUMENT, ShardFile, SplitIndex
from penjing.data.shards.task import Pieces


class _CheckedFile:
    """A file with a CRC-32 of each block."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._name = path.name
        self._sums: list[int] = []
        self._room = 0  # bytes until the block is full
        self.rows = 0

    def write(self, rows: NDArray[Any]) -> None:
        raw = memoryview(rows.tobytes())
        self._file.write(raw)
        self.rows += len(rows)
        while len(raw):
            if not self._room:
                self._sums.append(0)
                self._room = BLOCK
            part = raw[: self._room]
            self._sums[-1] = zlib.crc32(part, self._sums[-1])
            self._room -= len(part)
            raw = raw[len(part) :]

    def close(self) -> ShardFile:
        self._file.close()
        return ShardFile(self._name, self.rows, tuple(self._sums))


class SplitWriter:
    """Takes ids and documents in order. Used in a `with` block; then `index` tells what is there.

    Args:
        folder: exists.
        name: "train" or "validation".
        shard_tokens: in one file, at most.
    """

    def __init__(self, folder: Path, name: str, shard_tokens: int) -> None:
        self._folder, self._name, self._most = folder, name, shard_tokens
        self._digest = hashlib.sha256()
        self._shards: list[ShardFile] = []
        self._table = _CheckedFile(folder / f"{name}-documents.bin")
        self._open: _CheckedFile | None = None
        self._tokens = 0
        self._bytes = 0  # of the documents that are whole
        self._begun = 0  # of one that is not yet

    def write(self, ids: NDArray[Any], pieces: Pieces) -> None:
        """The next documents, or pieces of them.

        Args:
            ids: (N,) of all of them, in the type that they have on disk.
            pieces: (P,) rows of `PIECE`, whose "end" is relative to these ids.
        """
        ends = self._tokens + pieces["end"]
        totals = self._begun + np.cumsum(pieces["n_bytes"])
        self._write_ids(ids)
        last = ~pieces["more"]
        rows = np.zeros(int(last.sum()), dtype=DOCUMENT)
        rows["end"], rows["core"] = ends[last], pieces["core"][last]
        rows["n_bytes"] = np.diff(totals[last], prepend=0)
        self._table.write(rows)
        written = int(rows["n_bytes"].sum())
        self._begun = int(totals[-1]) - written if len(totals) else self._begun
        self._bytes += written

    def _write_ids(self, ids: NDArray[Any]) -> None:
        if len(ids):
            self._digest.update(np.ascontiguousarray(ids).data)
        self._tokens += len(ids)
        while len(ids):
            if self._open is None:
                number = len(self._shards)
                self._open = _CheckedFile(self._folder / f"{self._name}-{number:05}.bin")
            part = ids[: self._most - self._open.rows]
            self._open.write(part)
            ids = ids[len(part) :]
            if self._open.rows == self._most:
                self._close_shard()

    def index(self) -> SplitIndex:
        """What has been written; the files are closed."""
        self._close_shard()
        table = self._table.close()
        return SplitIndex(
            documents=table.rows,
            tokens=self._tokens,
            bytes=self._bytes,
            sha256=self._digest.hexdigest(),
            shards=tuple(self._shards),
            table=table,
        )

    def _close_shard(self) -> None:
        if self._open is not None:
            self._shards.append(self._open.close())
            self._open = None

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close_shard()
        self._table.close()
