"""Which stretch of which file is encoded in which task: known before any of it is read.

Everything about an encoding lies in its work folder, so that any process can do any task, and a
killed encoding goes on where it stood.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from penjing.core.config import from_dict, to_dict
from penjing.core.errors import ConfigError, DataError
from penjing.core.files import atomic_file, storage_errors
from penjing.data.limits import MAX_VALIDATION_FRACTION
from penjing.data.readers import READERS
from penjing.data.shards.stretches import cut_lines, cut_text
from penjing.data.sources import Source, extension, find_sources
from penjing.tokenizer.tokenizer import Tokenizer

VERSION = 1
PLAN = "plan.json"
STDIN = "standard-input.txt"  # kept, for what is piped cannot be read twice
BYTES_A_CHARACTER = 2  # about: English has one, Chinese three


@dataclass(frozen=True)
class ShardConfig:
    """How a text becomes shards."""

    validation_fraction: float = 0.05  # of the bytes, by whole documents; 0: all is trained on
    exact_split: bool = False  # cut one document at exactly that fraction of its characters
    task_bytes: int = 2**23  # of text that a worker encodes at a time
    shard_tokens: int = 2**28  # in one file, at most

    def check(self) -> None:
        """Raises ConfigError for values that cannot work."""
        if not 0 <= self.validation_fraction <= MAX_VALIDATION_FRACTION:
            raise ConfigError(
                f"validation_fraction must be from 0 to {MAX_VALIDATION_FRACTION}, "
                f"got {self.validation_fraction}."
            )
        for name in ("task_bytes", "shard_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")


@dataclass(frozen=True)
class File:
    """A file or corpus to encode, as it was when the plan was made."""

    name: str  # a path, or the name of a corpus
    size: int  # bytes on disk; 0 of a corpus
    modified: int  # nanoseconds since the epoch; 0 of a corpus
    corpus: bool = False

    @property
    def source(self) -> Source:
        """For a reader."""
        return Source(self.name, None if self.corpus else Path(self.name), self.corpus)


@dataclass(frozen=True)
class Slice:
    """A stretch of a file: whole lines of rows, or a part of one long text."""

    file: int
    start: int  # bytes
    end: int
    whole: bool  # the file is not cut: its own reader reads all of it
    more: bool = False  # the document goes on in the next slice


@dataclass(frozen=True)
class Plan:
    """What is encoded, with what, in which tasks. `folder` is the work folder."""

    folder: Path
    files: tuple[File, ...]
    tasks: tuple[tuple[Slice, ...], ...]
    config: ShardConfig = field(default_factory=ShardConfig)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Saved beside the plan."""
        tokenizer = Tokenizer.load(self.folder)
        tokenizer.expect(sum(file.size for file in self.files) // BYTES_A_CHARACTER)
        return tokenizer

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of the ids on disk: two bytes, if these can hold every id."""
        return np.dtype("<u2" if self.tokenizer.vocab_size <= 2**16 else "<u4")

    @property
    def cut_files(self) -> list[int]:
        """The files that several tasks read."""
        return sorted({s.file for task in self.tasks for s in task if not s.whole})

    def path_of(self, file: int) -> Path:
        """Where a file lies.

        Raises:
            DataError: it is no longer as it was when the plan was made.
        """
        planned = self.files[file]
        path = planned.source.path
        assert path is not None, "a corpus has no path"
        try:
            about = path.stat()
            if (about.st_size, about.st_mtime_ns) == (planned.size, planned.modified):
                return path
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror}.") from error
        raise DataError(
            f"{path} has changed since the encoding began. Remove {self.folder}, and encode anew."
        )

    def is_text(self, file: int) -> bool:
        """Whether a file is one document, not rows."""
        path = self.files[file].source.path
        return path is not None and READERS[extension(path) or "txt"] is READERS["txt"]

    def task(self, number: int) -> Path:
        """The files of a task, but for their extension."""
        return self.folder / "tasks" / f"{number:07}"

    def hashes(self, file: int) -> Path:
        """The hashes of a file that several tasks read."""
        return self.folder / "tasks" / f"file-{file:07}.json"

    def save(self) -> None:
        """Write it into its folder."""
        content = {
            "version": VERSION,
            "tokenizer": self.tokenizer.fingerprint,
            "config": to_dict(self.config),
            "files": [[f.name, f.size, f.modified, f.corpus] for f in self.files],
            "tasks": [
                [[s.file, s.start, s.end, s.whole, s.more] for s in task] for task in self.tasks
            ],
        }
        with atomic_file(self.folder / PLAN) as scratch:
            scratch.write_text(json.dumps(content), encoding="utf-8")


def load_plan(folder: str | Path) -> Plan:
    """The plan in a work folder.

    Raises:
        DataError: it is missing, damaged, or of another version.
    """
    path = Path(folder, PLAN)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise DataError(
                f"{path} is of version {content['version']}, and this program knows {VERSION}. "
                "Remove the folder, and encode anew."
            )
        return Plan(
            Path(folder),
            tuple(File(*values) for values in content["files"]),
            tuple(tuple(Slice(*values) for values in task) for task in content["tasks"]),
            from_dict(ShardConfig, content["config"], where=str(path)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is missing or damaged ({error}). Remove the folder, and encode anew."
        ) from error


def make_plan(
    sources: Sequence[str | Path], tokenizer: Tokenizer, folder: Path, config: ShardConfig
) -> Plan:
    """Look at the sources and divide the work; into the new work folder `folder`.

    Standard input is written down first. Of a large file, only the places are read where it is cut.

    Raises:
        DataError: a source is missing, or holds nothing.
        ConfigError: a setting cannot work.
    """
    config.check()
    with _new_folder(folder):
        tokenizer.save(folder)
        (folder / "tasks").mkdir(exist_ok=True)
        files = tuple(_files(sources, folder))
        slices = [
            piece
            for number, file in enumerate(files)
            for piece in _slices(number, file, tokenizer, config.task_bytes)
        ]
        plan = Plan(folder, files, tuple(_tasks(slices, config.task_bytes)), config)
        plan.save()
        return plan


def unchanged(plan: Plan, sources: Sequence[str | Path]) -> bool:
    """Whether the sources are still those of the plan, by name, size and time of change.

    What is piped cannot be looked at again: it is taken to be what was written down.

    Raises:
        DataError: a source is missing, or holds nothing.
    """
    kept = plan.folder / STDIN
    if "-" in map(str, sources) and not kept.is_file():
        return False
    named = [kept if str(source) == "-" else source for source in sources]
    return tuple(_files(named, plan.folder)) == plan.files


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """A folder that is filled by the block; it does not stay if that fails. What a killed process
    left of a plan that was not whole is written over."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _files(sources: Sequence[str | Path], folder: Path) -> Iterator[File]:
    for name, found in zip(sources, find_sources(sources, READERS), strict=True):
        files = [_file(source, folder) for source in found]
        if not any(file.size or file.corpus for file in files):
            raise DataError(f"{'Standard input' if str(name) == '-' else name} holds no text.")
        yield from (file for file in files if file.size or file.corpus)
    if not sources:
        next(find_sources(sources, READERS))


def _file(source: Source, folder: Path) -> File:
    if source.corpus:
        return File(source.name, 0, 0, corpus=True)
    path, name = source.path, source.name
    if path is None:
        path, name = folder / STDIN, str(folder / STDIN)
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    about = path.stat()
    return File(name, about.st_size, about.st_mtime_ns)


def _slices(number: int, file: File, tokenizer: Tokenizer, size: int) -> Iterator[Slice]:
    """The stretches of one file, if it is large and may be cut."""
    path = file.source.path
    whole = Slice(number, 0, file.size, whole=True)
    if path is None or file.size <= size or path.suffix.lower() == ".gz":
        yield whole
        return
    reader = READERS[extension(path) or "txt"]
    if reader is READERS["txt"]:
        places = cut_text(path, file.size, size, tokenizer.boundary)
    elif reader is READERS["jsonl"]:
        places = cut_lines(path, file.size, size)
    else:
        places = []
    if not places:
        yield whole
        return
    ends = [*places, file.size]
    for start, end in zip([0, *places], ends, strict=True):
        more = reader is READERS["txt"] and end < file.size
        yield Slice(number, start, end, whole=False, more=more)


def _tasks(slices: Sequence[Slice], size: int) -> Iterator[tuple[Slice, ...]]:
    """Small files together, so that a task is worth its while; a corpus or a stretch alone."""
    task: list[Slice] = []
    taken = 0
    for piece in slices:
        length = piece.end - piece.start if piece.whole and piece.end else size
        if task and taken + length > size:
            yield tuple(task)
            task, taken = [], 0
        task.append(piece)
        taken += length
    if task:
        yield tuple(task)
