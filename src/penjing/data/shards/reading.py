"""Shards on disk as arrays in memory that are not there until they are looked at."""

import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.data.shards.index import (
    BLOCK,
    DOCUMENT,
    Index,
    ShardFile,
    SplitIndex,
    load_index,
    settings_hash,
)
from penjing.tokenizer.tokenizer import Tokenizer


class ShardedIds:
    """The ids of a split, memory-mapped, in files that lie one after the other.

    Raises:
        DataError: a file is missing, or its size is not the one in the index.
    """

    def __init__(self, folder: Path, split: SplitIndex, dtype: np.dtype[Any]) -> None:
        self.sha256 = split.sha256
        self.files = [folder / shard.name for shard in split.shards]
        self._arrays = [_mapped(folder / s.name, s.rows, dtype) for s in split.shards]
        self._starts = np.cumsum([0, *(len(array) for array in self._arrays)])  # (shards + 1,)
        self._dtype = dtype

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """The ids from `start` to before `stop`, (N,) in the type that they have on disk."""
        stop = min(stop, len(self))
        if stop <= start:
            return np.empty(0, self._dtype)
        first, last = (
            int(np.searchsorted(self._starts, at, side="right")) - 1 for at in (start, stop - 1)
        )
        parts = [
            self._arrays[n][max(0, start - int(self._starts[n])) : stop - int(self._starts[n])]
            for n in range(first, last + 1)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The ids at `places`, of any shape."""
        if len(self._arrays) == 1:
            found: NDArray[Any] = self._arrays[0][places]
            return found
        shard = np.searchsorted(self._starts, places, side="right") - 1
        found = np.empty(places.shape, self._dtype)
        for n in np.unique(shard):
            here = shard == n
            found[here] = self._arrays[n][places[here] - self._starts[n]]
        return found


class Shards:
    """A folder of shards: two splits, their documents, and the tokenizer they were made with.

    Raises:
        DataError: the index or a file is missing, damaged or cut short.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index: Index = load_index(self.folder)
        self.train = ShardedIds(self.folder, self.index.train, self.index.id_type)
        self.validation = ShardedIds(self.folder, self.index.validation, self.index.id_type)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the ids belong to.

        Raises:
            DataError: the one in the folder is another, or its settings are.
            TokenizerError: it is missing or damaged.
        """
        tokenizer = Tokenizer.load(self.folder)
        if tokenizer.fingerprint != self.index.tokenizer:
            raise DataError(
                f"{self.folder / 'tokenizer.json'} is not the tokenizer that the shards beside it "
                f"were made with: SHA-256 {tokenizer.fingerprint[:12]}, and the index says "
                f"{self.index.tokenizer[:12]}. Bring the right one back, or encode the text anew."
            )
        if settings_hash(tokenizer.settings) != self.index.settings:
            raise DataError(
                f"{self.folder / 'tokenizer_config.json'} says something else than when the shards "
                "beside it were made, such as another end token or chat template. Bring the right "
                "one back, or encode the text anew."
            )
        return tokenizer

    def documents(self, split: SplitIndex) -> NDArray[Any]:
        """The rows of `DOCUMENT` of `index.train` or `index.validation`, memory-mapped."""
        return _mapped(self.folder / split.table.name, split.table.rows, DOCUMENT)

    def verify(self) -> None:
        """Read everything once, and compare it with the checksums.

        Raises:
            DataError: a file is damaged, or the tokenizer another; it says which, and where.
            TokenizerError: as `tokenizer`.
        """
        _ = self.tokenizer
        for split in (self.index.train, self.index.validation):
            for shard in split.shards:
                _verify(self.folder, shard, self.index.id_type.itemsize)
            _verify(self.folder, split.table, DOCUMENT.itemsize)


def _mapped(path: Path, rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        size = path.stat().st_size
        if size == rows * dtype.itemsize:
            # A plain view: slices of a memmap are slower to make.
            return np.memmap(path, dtype, "r").view(np.ndarray) if rows else np.empty(0, dtype)
    except OSError as error:
        raise DataError(f"Cannot read the shard {path}: {error.strerror}.") from error
    raise DataError(
        f"{path} has {size:,} bytes, and the index says {rows * dtype.itemsize:,}: the shard is "
        "damaged. Copy it anew, or encode the text anew."
    )


def _verify(folder: Path, shard: ShardFile, row_bytes: int) -> None:
    path = folder / shard.name
    with path.open("rb") as file:
        for n, wanted in enumerate(shard.crc32):
            if zlib.crc32(file.read(BLOCK)) != wanted:
                end = min((n + 1) * BLOCK, shard.rows * row_bytes)
                raise DataError(
                    f"{path} is damaged between byte {n * BLOCK:,} and byte {end:,}: its checksum "
                    "is not that of the index. Copy it anew, or encode the text anew."
                )
