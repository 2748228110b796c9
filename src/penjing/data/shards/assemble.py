"""From what the tasks wrote to shards: choose, cut where needed, and copy in order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.files import atomic_directory
from penjing.data.hashing import BYTES
from penjing.data.shards.found import Found
from penjing.data.shards.index import FORMAT, VERSION, Index, SplitIndex, settings_hash
from penjing.data.shards.plan import Plan
from penjing.data.shards.task import PIECE, Pieces
from penjing.data.shards.writing import SplitWriter
from penjing.data.splitting import DROPPED, TRAIN, VALIDATION, Choice, choose, nearest_line_end

Tick = Callable[[float], None]  # told which share is done


def assemble(plan: Plan, out: Path, tick: Tick = lambda _share: None) -> Index:
    """Write the shards of a plan whose tasks are done into the new folder `out`.

    Memory: some 150 bytes for each document, and a portion of the ids.

    Raises:
        DataError: a task is not done or damaged, a file has changed, or there is too little text.
        StorageError: `out` exists, or the disk refuses.
    """
    text = Found.load(plan)
    choice = choose(
        text.documents(),
        validation_fraction=plan.config.validation_fraction,
        exact=plan.config.exact_split,
    )
    labels = choice.labels[text.document_of]  # of each piece
    cut = None
    if choice.cut is not None:
        cut = _Cut.make(plan, text, choice)
        rest = np.flatnonzero(text.document_of == choice.cut)
        labels[rest[rest > cut.piece]] = VALIDATION
        text.pieces["core"][rest[-1]] = np.void(bytes(BYTES))  # neither part is the document
    most = plan.config.shard_tokens
    with atomic_directory(out) as folder:
        plan.tokenizer.save(folder)
        with (
            SplitWriter(folder, "train", most) as train,
            SplitWriter(folder, "validation", most) as validation,
        ):
            writers = {TRAIN: train, VALIDATION: validation}
            for portion in text.portions(plan):
                ids, table = portion.ids, portion.table
                here = labels[portion.first : portion.first + len(table)]
                if cut is not None and portion.first <= cut.piece < portion.first + len(table):
                    ids, table, here = cut.put_in(ids, table, here, cut.piece - portion.first)
                for label, writer in writers.items():
                    _copy(writer, ids, table, here == label)
                tick((portion.first + len(portion.table)) / len(text.pieces))
            index = _index(plan, text, choice, train.index(), validation.index())
        index.save(folder)
    return index


def _index(
    plan: Plan, text: Found, choice: Choice, train: SplitIndex, validation: SplitIndex
) -> Index:
    kept = choice.labels[text.document_of] != DROPPED
    return Index(
        format=FORMAT,
        version=VERSION,
        dtype="uint16" if plan.dtype.itemsize == 2 else "uint32",
        tokenizer=plan.tokenizer.fingerprint,
        settings=settings_hash(plan.tokenizer.settings),
        vocab_size=plan.tokenizer.vocab_size,
        sources=tuple(text.sources),
        validation_fraction=float(plan.config.validation_fraction),
        exact_split=plan.config.exact_split,
        documents=len(choice.labels),
        duplicates=choice.duplicates,
        characters=int(text.pieces["n_characters"][kept].sum()),
        train=train,
        validation=validation,
    )


def _copy(writer: SplitWriter, ids: NDArray[Any], table: Pieces, chosen: NDArray[np.bool_]) -> None:
    """The chosen pieces of a task, in order."""
    if chosen.all():
        writer.write(ids, table)
        return
    lengths = np.diff(table["end"], prepend=0)
    kept = table[chosen]
    kept["end"] = np.cumsum(lengths[chosen])
    writer.write(ids[np.repeat(chosen, lengths)], kept)


@dataclass(frozen=True)
class _Cut:
    """The piece in which a document is cut, encoded anew as two."""

    piece: int  # its number
    head: NDArray[Any]  # ids, with the end token
    tail: NDArray[Any]  # ids, with the end token if the document ends in this piece
    sizes: tuple[tuple[int, int], tuple[int, int]]  # bytes and characters of head and tail

    @classmethod
    def make(cls, plan: Plan, text: Found, choice: Choice) -> "_Cut":
        numbers_of = np.flatnonzero(text.document_of == choice.cut)
        lengths = text.pieces["n_characters"][numbers_of]
        ends = np.cumsum(lengths).tolist()
        starts = [0, *ends[:-1]]

        def text_of(n: int) -> str:
            return text.text_of(plan, int(numbers_of[n]))

        at = choice.at
        if not plan.config.exact_split:
            at = nearest_line_end(at, starts, ends[-1], text_of)
        n = next(i for i, end in enumerate(ends) if at < end)
        whole = text_of(n)
        head, tail = whole[: at - starts[n]], whole[at - starts[n] :]
        tokenizer = plan.tokenizer
        end_token = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
        last = end_token if n == len(ends) - 1 else []
        return cls(
            int(numbers_of[n]),
            np.asarray(tokenizer.encode(head) + end_token, dtype=plan.dtype),
            np.asarray(tokenizer.encode(tail) + last, dtype=plan.dtype),
            ((len(head.encode()), len(head)), (len(tail.encode()), len(tail))),
        )

    def put_in(
        self, ids: NDArray[Any], table: Pieces, labels: NDArray[Any], row: int
    ) -> tuple[NDArray[Any], Pieces, NDArray[Any]]:
        """A task's ids, table and labels, with two pieces in place of one."""
        begin = int(table["end"][row - 1]) if row else 0
        end = int(table["end"][row])
        middle = np.concatenate([self.head, self.tail])
        two = np.zeros(2, dtype=PIECE)
        two["end"] = begin + np.array([len(self.head), len(middle)])
        two["n_bytes"], two["n_characters"] = zip(*self.sizes, strict=True)
        two["more"] = [False, table["more"][row]]
        after = table[row + 1 :].copy()
        after["end"] += len(middle) - (end - begin)
        return (
            np.concatenate([ids[:begin], middle, ids[end:]]),
            np.concatenate([table[:row], two, after]),
            np.concatenate([labels[:row], [TRAIN, VALIDATION], labels[row + 1 :]]),
        )
