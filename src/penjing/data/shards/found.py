"""What the tasks of a plan have found: documents and their hashes in memory, ids on the disk."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.data.shards.index import SourceFile
from penjing.data.shards.plan import Plan
from penjing.data.shards.task import PIECE, Pieces, is_done, task_pieces
from penjing.data.splitting import Documents, numbers

PORTION = 2**23  # ids that are copied at once


@dataclass
class Found:
    """What the tasks have found, one after the other."""

    pieces: Pieces  # (P,)
    spans: list[tuple[int, int]]  # of the pieces of each task
    document_of: NDArray[np.int64]  # (P,) the number of a piece's document
    sources: list[SourceFile]

    @classmethod
    def load(cls, plan: Plan) -> "Found":
        """From the work folder.

        Raises:
            DataError: a task is not done or damaged, or a file has changed.
        """
        missing = [n for n in range(len(plan.tasks)) if not is_done(plan, n)]
        missing_hashes = [n for n in plan.cut_files if not plan.hashes(n).is_file()]
        if missing or missing_hashes:
            raise DataError(
                f"{len(missing) + len(missing_hashes)} tasks of {plan.folder} are not done yet. "
                "Run the same encoding again: it goes on with them."
            )
        tables = [_load_table(plan, n) for n in range(len(plan.tasks))]
        pieces = np.concatenate(tables) if tables else np.empty(0, PIECE)
        ends = np.cumsum([len(table) for table in tables]).tolist()
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        begins = np.ones(len(pieces), dtype=np.bool_)
        begins[1:] = ~pieces["more"][:-1]
        document_of = np.cumsum(begins) - 1
        sources = _fill_hashes(plan, pieces, spans)
        return cls(pieces, spans, document_of, sources)

    def documents(self) -> Documents:
        """The table of whole documents."""
        n = int(self.document_of[-1]) + 1 if len(self.document_of) else 0
        last = np.flatnonzero(~self.pieces["more"])
        sums = {
            name: np.bincount(self.document_of, self.pieces[name], n).astype(np.int64)
            for name in ("n_bytes", "n_characters")
        }
        return Documents(
            **sums,
            digest=numbers(self.pieces["digest"][last].tobytes()),
            core=numbers(self.pieces["core"][last].tobytes()),
        )

    def portions(self, plan: Plan) -> Iterator["Portion"]:
        """All pieces in order with their ids, so many at a time as fit into little memory.

        Raises:
            DataError: the ids of a task are damaged.
        """
        for number, (first, last) in enumerate(self.spans):
            table = self.pieces[first:last]
            ends = table["end"]
            ids = _mapped_ids(plan, number, int(ends[-1]) if len(table) else 0)
            row = begin = 0
            while row < len(table):
                stop = max(row + 1, int(np.searchsorted(ends, begin + PORTION, side="right")))
                end = int(ends[stop - 1])
                part = table[row:stop].copy()
                part["end"] -= begin
                yield Portion(first + row, ids[begin:end], part)
                row, begin = stop, end

    def text_of(self, plan: Plan, piece: int) -> str:
        """The text of a piece, read again."""
        task = next(n for n, (first, last) in enumerate(self.spans) if first <= piece < last)
        wanted = piece - self.spans[task][0]
        return next(p.text for n, p in enumerate(task_pieces(plan, task)) if n == wanted)


@dataclass(frozen=True)
class Portion:
    """Some pieces of a task."""

    first: int  # number of the first piece, among all
    ids: NDArray[Any]  # (N,)
    table: Pieces  # whose "end" is relative to these ids


def _mapped_ids(plan: Plan, number: int, wanted: int) -> NDArray[Any]:
    path = plan.task(number).with_suffix(".ids")
    found, size = path.stat().st_size, wanted * plan.dtype.itemsize
    if found != size:
        raise _damaged(plan, path, f"{found:,} bytes, not {size:,}")
    return np.memmap(path, plan.dtype, "r") if size else np.empty(0, plan.dtype)


def _load_table(plan: Plan, number: int) -> Pieces:
    path = plan.task(number).with_suffix(".npy")
    try:
        table: Pieces = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(plan, path, str(error)) from error
    if table.dtype != PIECE:
        raise _damaged(plan, path, "another kind of table")
    return table


def _fill_hashes(plan: Plan, pieces: Pieces, spans: list[tuple[int, int]]) -> list[SourceFile]:
    """The hash of each source; those of long documents go into the table, to their last pieces."""
    found: dict[int, str] = {}
    for number in range(len(plan.tasks)):
        of_files = _read_json(plan, plan.task(number).with_suffix(".json"))["sha256"]
        found |= {int(file): digest for file, digest in of_files.items()}
    last_task = {part.file: n for n, task in enumerate(plan.tasks) for part in task}
    for number in plan.cut_files:
        content = _read_json(plan, plan.hashes(number))
        found[number] = content["sha256"]
        if "core" in content:
            row = spans[last_task[number]][1] - 1  # a stretch is a task of its own, of one piece
            for name in ("digest", "core"):
                pieces[name][row] = np.void(bytes.fromhex(content[name]))
    for number, file in enumerate(plan.files):
        if not file.corpus:
            plan.path_of(number)  # still as it was
        else:  # a task of its own, too
            digests = pieces["digest"][slice(*spans[last_task[number]])]
            found[number] = hashlib.sha256(digests.tobytes()).hexdigest()
    return [SourceFile(f.name, f.size, found[n]) for n, f in enumerate(plan.files)]


def _read_json(plan: Plan, path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = found["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(plan, path, str(error)) from error
    return found


def _damaged(plan: Plan, path: Path, why: str) -> DataError:
    return DataError(f"{path} is damaged ({why}). Remove {plan.folder}, and encode anew.")
