"""What training noted of each merge, beside tokenizer.json: so it can be shown and replayed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from penjing.core.errors import TokenizerError
from penjing.core.files import atomic_file
from penjing.tokenizer.facts import merges_of

FILE = "merges.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """One merge of training."""

    rank: int  # its place among the merges; the first is 0
    left: int  # ids
    right: int
    result: int
    count: int  # how often the pair stood in the text, as it was cut just before this merge


@dataclass(frozen=True)
class TrainingRecord:
    """All merges, and what they were learned from."""

    merges: tuple[MergeRecord, ...]
    n_bytes: int  # of UTF-8 that the merges were learned from
    n_read: int  # bytes of the text in all; more than `n_bytes` if a sample was drawn

    @property
    def sampled(self) -> bool:
        """Whether the merges were learned from a part of the text."""
        return self.n_bytes < self.n_read


class _Tokenizer(Protocol):
    """What is asked of a tokenizer here."""

    @property
    def text(self) -> str: ...  # the content of tokenizer.json


def save_record(folder: str | Path, record: TrainingRecord) -> None:
    """Write merges.json into the folder of the tokenizer that was trained.

    Raises:
        StorageError: the disk refuses.
    """
    head = {
        "version": _VERSION,
        "sampled": record.sampled,
        "bytes": record.n_bytes,
        "read": record.n_read,
    }
    # A line for each merge: the file is for people too.
    rows = ",\n".join(f"[{merge.left},{merge.right},{merge.count}]" for merge in record.merges)
    with atomic_file(Path(folder, FILE)) as scratch:
        scratch.write_text(f'{json.dumps(head)[:-1]}, "merges": [\n{rows}\n]}}\n', encoding="utf-8")


def load_record(folder: str | Path, tokenizer: _Tokenizer) -> TrainingRecord | None:
    """What training noted beside a tokenizer; None if there is no such file.

    Raises:
        TokenizerError: the file is damaged, or belongs to another tokenizer.
    """
    file = Path(folder, FILE)
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_bytes())
        rows, n_bytes, n_read = _rows(content), int(content["bytes"]), int(content["read"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TokenizerError(
            f"{file} is damaged, no record of merges: {error}. Remove it, or train the tokenizer "
            "again: it is needed only to show how often each merge was found."
        ) from error
    except OSError as error:
        raise TokenizerError(f"{file} cannot be read: {error.strerror}.") from error
    model = json.loads(tokenizer.text)["model"]
    pairs, vocab = list(merges_of(model)), model.get("vocab", {})
    if [(vocab[left], vocab[right]) for left, right in pairs] != [row[:2] for row in rows]:
        raise TokenizerError(
            f"{file} belongs to another tokenizer than the tokenizer.json beside it: its merges "
            "are not the same. Remove it, or train the tokenizer again."
        )
    records = (
        MergeRecord(rank, *row[:2], vocab[left + right], row[2])
        for rank, (row, (left, right)) in enumerate(zip(rows, pairs, strict=True))
    )
    return TrainingRecord(tuple(records), n_bytes, n_read)


def _rows(content: Any) -> Sequence[tuple[int, int, int]]:
    """The merges of a file: (left, right, count)."""
    if content["version"] != _VERSION:
        raise ValueError(f"version {content['version']} is not known here")
    rows = [(left, right, count) for left, right, count in content["merges"]]
    if not all(type(number) is int for row in rows for number in row):
        raise ValueError("a merge must be three whole numbers")
    return rows
