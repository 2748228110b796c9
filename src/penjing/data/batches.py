"""Token ids to batches: shuffled windows to train on, every target once to evaluate on."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penjing.core.errors import DataError
from penjing.core.types import Document
from penjing.data.shards.reading import ShardedIds
from penjing.data.shards.selection import SelectedIds

IGNORED = -100  # a target that takes no part in the loss (torch's own default)


class Encoder(Protocol):
    """What is needed of a tokenizer here."""

    @property
    def eos_id(self) -> int | None: ...

    def encode_arrays(self, texts: Iterable[str], /) -> Iterator[tuple[NDArray[Any], bool]]: ...


@dataclass(frozen=True)
class Batch:
    """Ids and the ids that follow them."""

    inputs: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64; -100 is ignored


class Ids(Protocol):
    """A row of ids, in memory (a tensor) or on a disk; slices and windows of it are tensors."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | Tensor, /) -> Tensor: ...

    @property
    def device(self) -> torch.device: ...


class StoredIds:
    """Ids that lie in shards: what is read becomes a tensor, and nothing else is there."""

    device = torch.device("cpu")

    def __init__(self, ids: ShardedIds | SelectedIds) -> None:
        self._ids = ids
        self.sha256 = ids.sha256

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: slice | Tensor, /) -> Tensor:
        """int64, whatever the type on the disk; a slice has step 1."""
        if isinstance(index, slice):
            found = self._ids.read(*index.indices(len(self))[:2])
        else:
            found = self._ids.take(index.numpy())
        return torch.from_numpy(found.astype(np.int64))


@dataclass(frozen=True)
class Tokens:
    """A text as one row of ids, each document followed by the end token if there is one."""

    ids: Ids  # (N,) int64
    n_bytes: int  # of the text, in UTF-8; the end tokens count nothing
    n_documents: int


def encode_documents(documents: Sequence[Document], tokenizer: Encoder) -> Tokens:
    """The documents' ids, one after another."""
    end = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    ids = array("q")  # int64, and it grows in place
    for piece, is_last in tokenizer.encode_arrays(doc.text for doc in documents):
        ids.frombytes(piece.astype(np.int64).tobytes())
        ids.extend(end if is_last else ())
    n_bytes = sum(len(doc.text.encode("utf-8")) for doc in documents)
    return Tokens(torch.from_numpy(np.asarray(ids)), n_bytes, len(documents))


def content(tokens: Tokens) -> bytes:
    """What a hash of the ids is made of: the ids; of those in shards, the hash that is known."""
    if isinstance(tokens.ids, StoredIds):
        return bytes.fromhex(tokens.ids.sha256)
    return tokens.ids[:].numpy().tobytes()


class Windows(Protocol):
    """Training batches without end, and the place in them."""

    def next(self) -> Batch: ...

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, state: dict[str, Tensor]) -> None: ...


def check_length(tokens: Tokens, context_length: int) -> None:
    """Raise a DataError when a text is shorter than one window of T + 1 ids."""
    n = len(tokens.ids)
    if n < context_length + 1:
        raise DataError(
            f"The training text has {n} tokens; a context of {context_length} needs at least "
            f"{context_length + 1}. Add text, or choose a shorter context_length."
        )


class RandomWindows:
    """Training batches: in each epoch the text is cut into windows that are dealt out shuffled.

    The cut starts at a new random offset each epoch, so windows differ from epoch to epoch, and a
    short text is still seen evenly: independent random windows, as nanoGPT draws them, leave
    1/e = 37 % of the targets out of each pass over the text. The last, incomplete window of an
    epoch is left out; another offset reaches it.

    The generator is the caller's, who saves and restores it; `state` and `restore` do so for the
    place in the epoch.

    Args:
        tokens: the training text.
        batch_size: B.
        context_length: T; a window holds T + 1 ids, T inputs and T targets.
        generator: on the CPU.

    Raises:
        DataError: the text is shorter than one window.
    """

    def __init__(
        self, tokens: Tokens, batch_size: int, context_length: int, generator: torch.Generator
    ) -> None:
        check_length(tokens, context_length)
        self.epoch = 0  # complete passes over the text
        self._ids = tokens.ids
        self._batch_size = batch_size
        self._context_length = context_length
        self._generator = generator
        self._reach = torch.arange(context_length + 1, device=tokens.ids.device)
        self._starts = torch.empty(0, dtype=torch.int64)  # of this epoch's windows, shuffled
        self._next = 0  # index into _starts

    def next(self) -> Batch:
        """The next batch: (B, T) inputs and targets."""
        return self.take(self._batch_size)

    def take(self, rows: int) -> Batch:
        """The next `rows` windows, (rows, T) inputs and targets."""
        picked = [self._starts[:0]]
        missing = rows
        while missing:
            if self._next == len(self._starts):
                self._deal()
            part = self._starts[self._next : self._next + missing]
            picked.append(part)
            self._next += len(part)
            missing -= len(part)
        starts = torch.cat(picked)
        windows = self._ids[starts.to(self._ids.device)[:, None] + self._reach]  # (B, T + 1)
        return Batch(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())

    def state(self) -> dict[str, Tensor]:
        """The place in the epoch, as tensors; the generator's own state is the caller's to save."""
        place = torch.tensor([self.epoch, self._next], dtype=torch.int64)
        return {"starts": self._starts.clone(), "place": place}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state` of the same text, batch size and context.

        Raises:
            DataError: the state belongs to another text or context.
        """
        starts = state["starts"]
        epoch, place = (int(value) for value in state["place"])
        end = int(starts.max()) + self._context_length if len(starts) else 0
        if end >= len(self._ids) or not 0 <= place <= len(starts):
            raise DataError(
                "The saved place in the data lies beyond the end of the text: it belongs to "
                "another text or context_length. Resume with those that the run began with."
            )
        self._starts = starts.clone()
        self.epoch, self._next = epoch, place

    def _deal(self) -> None:
        """Cut the text anew, and shuffle."""
        self.epoch += bool(len(self._starts))
        length = self._context_length
        room = len(self._ids) - 1 - length  # the last place where a window can start
        high = min(length, room + 1)
        offset = int(torch.randint(high, (1,), generator=self._generator))
        count = (room - offset) // length + 1
        self._starts = torch.randperm(count, generator=self._generator) * length + offset
        self._next = 0


def windows(tokens: Tokens, context_length: int, batch_size: int) -> Iterator[Batch]:
    """The whole text in order, for evaluation: every id but the first is a target exactly once.

    Windows do not overlap, so the first ids of each are predicted from little context. The last
    window is filled up with ignored targets; the last batch may have fewer rows.

    Raises:
        DataError: there are fewer than two tokens.
    """
    n = len(tokens.ids) - 1  # targets
    if n < 1:
        raise DataError(
            f"The validation text has {n + 1} tokens; at least 2 are needed. "
            "Add text, or raise validation_fraction."
        )
    for start in range(0, n, batch_size * context_length):
        ids = tokens.ids[start : start + batch_size * context_length + 1]
        count = len(ids) - 1
        rows = -(-count // context_length)
        inputs = ids.new_zeros(rows * context_length)
        targets = ids.new_full((rows * context_length,), IGNORED)
        inputs[:count], targets[:count] = ids[:-1], ids[1:]
        yield Batch(inputs.view(rows, context_length), targets.view(rows, context_length))
