"""The index of a folder of shards: what lies in which file, and what it was made of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from penjing.core.config import from_dict, to_dict
from penjing.core.errors import ConfigError, DataError
from penjing.data.shards.place import INDEX

FORMAT, VERSION = "penjing-shards", 3
BLOCK = 2**22  # bytes that share a checksum

# A row for each document of a split.
DOCUMENT = np.dtype(
    [
        ("end", "<i8"),  # in the split's ids, its end token included
        ("n_bytes", "<i8"),  # of its text in UTF-8
        ("core", "V16"),  # SHA-256 of the text without the white space around it; 0: it was cut
    ]
)


@dataclass(frozen=True)
class ShardFile:
    """One file of ids or of documents."""

    name: str
    rows: int  # ids, or documents
    crc32: tuple[int, ...]  # of each `BLOCK` bytes


@dataclass(frozen=True)
class SourceFile:
    """A file that was encoded, as it was then."""

    name: str
    bytes: int  # 0 of a corpus
    sha256: str  # of a file's bytes; of a corpus, of the hashes of its documents


@dataclass(frozen=True)
class SplitIndex:
    """The training or the validation part."""

    documents: int
    tokens: int
    bytes: int  # of text in UTF-8; the end tokens count nothing
    sha256: str  # of all ids, as they lie in the files
    shards: tuple[ShardFile, ...]
    table: ShardFile  # of `DOCUMENT`


@dataclass(frozen=True)
class Index:
    """All that is known of a folder of shards without reading them."""

    format: str
    version: int
    dtype: Literal["uint16", "uint32"]  # of the ids, little-endian
    tokenizer: str  # SHA-256 of tokenizer.json
    settings: str  # SHA-256 of its settings: see `settings_hash`
    vocab_size: int
    sources: tuple[SourceFile, ...]
    validation_fraction: float
    exact_split: bool
    documents: int  # that were read, duplicates included
    duplicates: int  # that were left out
    characters: int  # of what is kept
    train: SplitIndex
    validation: SplitIndex
    checksum: str = ""  # SHA-256 of all the above

    @property
    def id_type(self) -> np.dtype[Any]:
        """As NumPy knows it."""
        return np.dtype({"uint16": "<u2", "uint32": "<u4"}[self.dtype])

    def save(self, folder: Path) -> None:
        """Write index.json, with its checksum, into a folder that is being made."""
        content = to_dict(self) | {"checksum": _checksum(self)}
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (folder / INDEX).write_text(text, encoding="utf-8", errors="backslashreplace")


def settings_hash(settings: Mapping[str, Any]) -> str:
    """SHA-256 of what tokenizer_config.json says: the end token, the chat template."""
    return _hash(settings)


def _checksum(index: Index) -> str:
    return _hash(to_dict(replace(index, checksum="")))


def _hash(content: Mapping[str, Any]) -> str:
    """Of the values, however they are laid out in a file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def load_index(folder: Path) -> Index:
    """The index of a folder.

    Raises:
        DataError: it is missing, damaged, or of another format or version.
    """
    path = folder / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is missing or damaged ({error}). Encode the text anew: penjing data encode"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no index of shards: its format is not {FORMAT!r}.")
    if content.get("version") != VERSION:
        raise DataError(
            f"{path} is of version {content.get('version')}, and this program knows {VERSION}. "
            "Encode the text anew, or use the version of penjing that wrote it."
        )
    try:
        index = from_dict(Index, content, where=str(path))
    except ConfigError as error:
        raise DataError(f"{error} The index is damaged: encode the text anew.") from error
    if _checksum(index) != index.checksum:
        raise DataError(
            f"{path} is damaged: its checksum is not that of its content. Copy it anew, or encode "
            "the text anew."
        )
    return index
