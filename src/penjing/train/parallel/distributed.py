"""Several processes that train one model: who each of them is, and what they tell one another.

torchrun starts the processes, on one machine or many, and says in the environment who each of them
is. Without it there is one process, `SINGLE`, and nothing here costs anything.
"""

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from penjing.core.errors import ConfigError, PenjingError, TrainingError
from penjing.data.batches import Batch

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")

TIMEOUT = timedelta(hours=1)  # rank 0 may read a large text while the others wait
_GONE = ("closed by peer", "reset by peer", "broken pipe", "timed out", "nccl communicator")


@dataclass(frozen=True)
class World:
    """This process among `size`. Every method but the properties must be called by all of them."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that tells, samples and writes what is written once."""
        return self.rank == 0

    @property
    def is_single(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    def share(self, batch: Batch, micro_batch_size: int = 0) -> list[tuple[Batch, float]]:
        """This process's rows of a batch that all of them hold, in micro-batches with weights.

        The average over the processes of each one's weighted sum of mean losses is the mean loss of
        the whole batch, and so are the gradients. All processes get equally many parts, because
        each is a meeting; one that has no targets computes a stand-in of weight 0.
        """
        n_rows = len(batch.inputs)
        if self.is_single and not 0 < micro_batch_size < n_rows:
            return [(batch, 1.0)]
        begin, end = (n_rows * rank // self.size for rank in (self.rank, self.rank + 1))
        most = -(-n_rows // self.size)
        n_parts = -(-most // micro_batch_size) if micro_batch_size else 1
        n_targets = max(1, _count(batch.targets))
        parts = []
        for inputs, targets in zip(
            torch.tensor_split(batch.inputs[begin:end], n_parts),
            torch.tensor_split(batch.targets[begin:end], n_parts),
            strict=True,
        ):
            if count := _count(targets):
                parts.append((Batch(inputs, targets), self.size * count / n_targets))
            elif not self.is_single:
                parts.append((_stand_in(batch), 0.0))
        return parts

    def sum(self, *values: float) -> list[float]:
        """The sum of each value over the processes."""
        if self.is_single:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(total)
        return [float(value) for value in total]

    def mean(self, value: float) -> float:
        """Its average over the processes."""
        return self.sum(value)[0] / self.size

    def any(self, flag: bool) -> bool:
        """Whether it is set in one of them."""
        return flag if self.is_single else self.sum(float(flag))[0] > 0

    def barrier(self) -> None:
        """Go on when all are here."""
        self.sum(0.0)

    def agree(self, value: Any) -> Any:
        """What the main process says, as JSON knows it; what the others say does not count."""
        return self._told(value, 0)

    def gather(self, value: Any) -> list[Any]:
        """What each process says, by rank, as JSON knows it."""
        return [self._told(value, rank) for rank in range(self.size)]

    def broadcast(self, row: Tensor, source: int = 0) -> Tensor:
        """A row of numbers (N,) of one process; the others bring one of the same type."""
        if self.is_single:
            return row
        length = torch.tensor([len(row)])
        torch.distributed.broadcast(length, src=source)
        if self.rank != source:
            row = row.new_empty(int(length))
        torch.distributed.broadcast(row, src=source)
        return row

    def main_first(self, work: Callable[[], T]) -> T | None:
        """Have the main process do some work, while the others wait; they get None.

        Raises:
            PenjingError: the work failed; the others raise a TrainingError with its words.
        """
        if not self.is_main:
            self._heed(self.agree(None))
            return None
        try:
            done = work()
        except PenjingError as error:
            self.agree(str(error))
            raise
        self.agree(None)
        return done

    def _told(self, value: Any, source: int) -> Any:
        if self.is_single:
            return value
        text = json.dumps(value).encode() if self.rank == source else b""
        row = torch.tensor(list(text), dtype=torch.uint8)
        return json.loads(self.broadcast(row, source).numpy().tobytes())

    def _heed(self, complaint: str | None) -> None:
        if complaint is not None:
            raise TrainingError(f"Rank {self.rank} stops, for rank 0 cannot go on: {complaint}")


SINGLE = World()


@contextmanager
def join(device: str = "auto") -> Iterator[World]:
    """Meet the other processes that torchrun started, until the block ends; alone without it.

    They speak through gloo, and about tensors on a GPU through NCCL. `device` is the setting
    train.device; with "auto" or "cuda" each process on a machine has a GPU of its own. What the
    block makes for several processes should no longer be held when it ends.

    Raises:
        ConfigError: the environment is odd, or there are more processes than GPUs.
        TrainingError: the processes do not find one another, or one of them ended early.
    """
    rank, size, local_rank = _environment()
    if size == 1:
        yield SINGLE
        return
    import torch.distributed as dist

    backend = _backend(device, local_rank)
    try:
        store = _store(size)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise TrainingError(
            f"The {size} processes of this run did not meet at {address} "
            f"({str(error).splitlines()[0]}). See that torchrun's --rdzv-endpoint names a machine "
            "and a port that all others reach."
        ) from error
    try:
        with _lost():
            yield World(rank, size)
        gc.collect()  # a model of DDP or FSDP that is left over aborts the interpreter at its end
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost() -> Iterator[None]:
    """Turn torch's word for a peer that is gone into a clear error."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in _GONE):
            raise
        raise TrainingError(
            "Another process of this run ended or no longer answers, so this one cannot go on "
            f"({str(error).splitlines()[0]}). Its own message says why. With torchrun "
            "--max-restarts 3 and --or-resume, all go on from the last checkpoint."
        ) from error


def _environment() -> tuple[int, int, int]:
    """(rank, size, rank on this machine), as torchrun gives them."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    if "WORLD_SIZE" not in found and "RANK" not in found:
        return 0, 1, 0
    values = [int(v) if (v := found.get(name, "")).isdecimal() else -1 for name in names]
    rank, size, local_rank = values
    if min(values) < 0 or rank >= size:
        told = ", ".join(f"{name}={os.environ.get(name, '')!r}" for name in names)
        raise ConfigError(
            f"The environment does not say which of several processes this is: {told}. Start with "
            "torchrun, which sets all three; or unset them to train in one process."
        )
    return rank, size, local_rank


def _store(size: int) -> "Store":
    """Where the processes tell one another their addresses, afresh after each restart.

    torchrun's default rendezvous keeps the dead ones' addresses for those that come after them. On
    several machines its c10d rendezvous is needed, which does not; there, counts may differ.
    """
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store: Store
    store, _, _ = next(rendezvous("env://", timeout=TIMEOUT))
    if os.environ.get("LOCAL_WORLD_SIZE") != str(size):
        return store
    afresh: Store = PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    return afresh


def _backend(device: str, local_rank: int) -> str:
    if not device.startswith(("auto", "cuda")) or not torch.cuda.is_available():
        return "gloo"
    if ":" in device:
        raise ConfigError(
            f"train.device is {device!r}, but under torchrun each process has a GPU of its own. "
            "Leave the number out, and choose GPUs with CUDA_VISIBLE_DEVICES."
        )
    n_devices = torch.cuda.device_count()
    if local_rank >= n_devices:
        raise ConfigError(
            f"torchrun started more processes on this machine than it has GPUs ({n_devices}). Say "
            f"--nproc-per-node {n_devices}, or train.device cpu."
        )
    torch.cuda.set_device(local_rank)
    return "cpu:gloo,cuda:nccl"


def _stand_in(batch: Batch) -> Batch:
    """One row with a target: the model computes it as all do, and it counts for nothing."""
    row = int((batch.targets >= 0).any(dim=1).int().argmax())
    return Batch(batch.inputs[row : row + 1], batch.targets[row : row + 1])


def _count(targets: Tensor) -> int:
    return int((targets >= 0).sum())
