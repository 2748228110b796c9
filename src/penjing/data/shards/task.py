"""One task: its stretches of text become ids. Any process can do it, once or again."""

import io
import json
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.core.files import atomic_file
from penjing.data.hashing import TextHash, file_hash, hashes_of
from penjing.data.pieces import rejoined
from penjing.data.readers import READERS, stream_parts
from penjing.data.shards.plan import Plan, Slice
from penjing.data.shards.stretches import count_lines, read_text
from penjing.data.sources import extension

# A row for each document, or for each piece of a long one.
PIECE = np.dtype(
    [
        ("end", "<i8"),  # in the task's ids, its end token included
        ("n_bytes", "<i8"),  # in UTF-8
        ("n_characters", "<i8"),
        ("more", "?"),  # the document goes on in the next row
        ("digest", "V16"),  # SHA-256 of the whole document, in its last row
        ("core", "V16"),  # the same without the white space around it
    ]
)
Pieces: TypeAlias = NDArray[Any]  # of PIECE
PACKED = 4096  # rows


class Piece(NamedTuple):
    """A document, or a piece of one."""

    text: str
    n_bytes: int  # in UTF-8
    more: bool
    digests: tuple[bytes, bytes]  # of the whole document, with its last piece


def _document(text: str) -> Piece:
    raw = text.encode("utf-8")
    return Piece(text, len(raw), False, hashes_of(text, raw))


def _part(text: str, more: bool, digests: tuple[bytes, bytes] = (b"", b"")) -> Piece:
    return Piece(text, len(text.encode("utf-8")), more, digests)


def is_done(plan: Plan, number: int) -> bool:
    """Whether a task has been done; what it wrote last says so."""
    return plan.task(number).with_suffix(".json").is_file()


def encode_task(plan: Plan, number: int) -> None:
    """Encode the stretches of a task, and write the ids, a table of the documents, and hashes.

    Memory does not grow with the text, but by some 60 bytes a document.

    Raises:
        DataError: a file cannot be read, or has changed.
        TokenizerError: a text cannot be encoded.
        StorageError: the disk refuses.
    """
    path, tokenizer = plan.task(number), plan.tokenizer
    end_token = np.array([id for id in (tokenizer.eos_id,) if id is not None], dtype=plan.dtype)
    table = _Table()

    def texts() -> Iterator[str]:
        for piece in task_pieces(plan, number):
            table.begin(piece)
            yield piece.text

    with atomic_file(path.with_suffix(".ids")) as scratch, scratch.open("wb") as file:
        written = 0
        for ids, is_last in tokenizer.encode_arrays(texts()):
            file.write(ids.astype(plan.dtype).data)
            written += len(ids)
            if is_last:
                if not table.goes_on:
                    file.write(end_token.data)
                    written += len(end_token)
                table.end(written)
    with atomic_file(path.with_suffix(".npy")) as scratch, scratch.open("wb") as file:
        np.save(file, table.rows(), allow_pickle=False)
    whole = {s.file for s in plan.tasks[number] if s.whole and not plan.files[s.file].corpus}
    hashes = {str(n): file_hash(plan.path_of(n)) for n in sorted(whole)}
    with atomic_file(path.with_suffix(".json")) as scratch:
        scratch.write_text(json.dumps({"sha256": hashes}), encoding="utf-8")


class _Table:
    """Rows of `PIECE`: begun when a text is read, ended when it is encoded, in the same order."""

    def __init__(self) -> None:
        self._begun: deque[Piece] = deque()
        self._ended: list[tuple[int, int, int, bool, bytes, bytes]] = []
        self._packed: list[Pieces] = []  # a tuple takes five times as much

    def begin(self, piece: Piece) -> None:
        self._begun.append(piece)

    @property
    def goes_on(self) -> bool:
        """Whether the document of the piece that ends next has more."""
        return self._begun[0].more

    def end(self, at: int) -> None:
        piece = self._begun.popleft()
        self._ended.append((at, piece.n_bytes, len(piece.text), piece.more, *piece.digests))
        if len(self._ended) == PACKED:
            self._pack()

    def rows(self) -> Pieces:
        """All that have ended."""
        self._pack()
        return np.concatenate(self._packed)

    def _pack(self) -> None:
        self._packed.append(np.array(self._ended, dtype=PIECE))
        self._ended.clear()


def hash_file(plan: Plan, number: int) -> None:
    """Hash a file that several tasks encode, and the text in it if it is one document.

    Raises:
        DataError: it cannot be read, or has changed.
    """
    path = plan.path_of(number)
    content = {"sha256": file_hash(path)}
    if plan.is_text(number):
        text = TextHash()
        for part in (part for task in plan.tasks for part in task if part.file == number):
            text.update(read_text(path, part.start, part.end))
        digest, core = text.digests()
        content |= {"digest": digest.hex(), "core": core.hex()}
    with atomic_file(plan.hashes(number)) as scratch:
        scratch.write_text(json.dumps(content), encoding="utf-8")


def task_pieces(plan: Plan, number: int) -> Iterator[Piece]:
    """The documents of a task, long ones in pieces, in the order of the sources.

    Raises:
        DataError: a file cannot be read, or is not text.
    """
    for part in plan.tasks[number]:
        if part.whole:
            yield from _whole(plan, part)
        elif plan.is_text(part.file):
            yield _part(read_text(plan.path_of(part.file), part.start, part.end), part.more)
        else:
            yield from _lines(plan, part)


def _lines(plan: Plan, part: Slice) -> Iterator[Piece]:
    """Whole lines of a file of rows."""
    path = plan.path_of(part.file)
    with path.open("rb") as file:
        file.seek(part.start)
        raw = file.read(part.end - part.start)
    reader = READERS[extension(path)]
    try:
        for document in reader(io.BytesIO(raw), str(path)):
            if document.text.strip():
                yield _document(document.text)
    except DataError:
        # Empty lines are skipped: with as many as come before, the error names the right line.
        before = b"\n" * count_lines(path, part.start)
        for _ in reader(io.BytesIO(before + raw), str(path)):
            pass
        raise


def _whole(plan: Plan, part: Slice) -> Iterator[Piece]:
    """All documents of a file or a corpus; long ones in pieces that can be encoded alone."""
    digest: TextHash | None = None  # of a document that goes on
    for piece in rejoined(stream_parts(plan.files[part.file].source), plan.tokenizer.boundary):
        if piece.ends and digest is None:
            yield _document(piece.text)
            continue
        digest = digest or TextHash()
        digest.update(piece.text)
        if piece.ends:
            yield _part(piece.text, False, digest.digests())
            digest = None
        else:
            yield _part(piece.text, True)
