"""The training state of several processes: each writes what it holds, any number reads it back.

torch.distributed.checkpoint decides who writes and who reads what. Its usual files are pickles;
these are safetensors files, each of which says where in the whole tensors its parts belong.

shard-00001-model-00001-of-00001.safetensors   what the first process wrote, and so on
"""

import errno
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor

from penjing.core.errors import CheckpointError

if TYPE_CHECKING:
    from torch.distributed.checkpoint.api import CheckpointException


def save_shards(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write `tensors` into `folder`; all processes call this, each with its own shards.

    What all of them hold whole is written once. A name that only some of them know is written by
    one of these.

    Raises:
        OSError: the disk refuses, in any of the processes.
    """
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        save({name: t.detach() for name, t in tensors.items()}, storage_writer=writer)
    except CheckpointException as error:
        cause = _cause(error)
        if isinstance(cause, OSError):
            raise cause from error
        raise OSError(errno.EIO, str(cause)) from error


def own_shard(folder: Path, rank: int) -> Path:
    """The file that a process writes, if it has anything to write."""
    return folder / f"shard-{rank + 1:05}-model-00001-of-00001.safetensors"


class SavedTensors(Mapping[str, Tensor]):
    """Tensors that were saved by any number of processes, one alone included; read when asked for.

    Raises:
        CheckpointError: a file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
        from torch.distributed.checkpoint.metadata import TensorStorageMetadata

        self._folder = folder
        try:
            metadata = HuggingFaceStorageReader(str(folder)).read_metadata()
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise _damaged(folder, error) from error
        self._headers: dict[str, tuple[torch.Size, torch.dtype]] = {
            name: (header.size, header.properties.dtype)
            for name, header in metadata.state_dict_metadata.items()
            if isinstance(header, TensorStorageMetadata)
        }

    def __getitem__(self, name: str) -> Tensor:
        size, dtype = self._headers[name]
        return self._read({name: torch.empty(size, dtype=dtype)})[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def like(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All of them, in the same shards as in `targets` where they are in shards there.

        A process reads only what it needs; it need not meet the others for that.

        Raises:
            RuntimeError: one has another shape than its target.
        """
        from torch.distributed.tensor import DTensor

        empty: dict[str, Tensor] = {}
        for name, (size, dtype) in self._headers.items():
            target = targets.get(name)
            if not isinstance(target, DTensor):
                empty[name] = torch.empty(size, dtype=dtype)
            elif target.size() == size:
                empty[name] = torch.empty_like(target)
            else:
                raise RuntimeError(f"{name} has shape {tuple(size)}, not {tuple(target.size())}")
        return self._read(empty)

    def _read(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
        from torch.distributed.checkpoint.state_dict_loader import load

        reader = HuggingFaceStorageReader(str(self._folder))
        try:
            with warnings.catch_warnings(action="ignore"):  # "assuming ... a single process"
                load(cast(dict[str, Any], tensors), storage_reader=reader, no_dist=True)
        except CheckpointException as error:
            raise _damaged(self._folder, _cause(error)) from error
        return tensors


def _damaged(folder: Path, error: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{folder} is damaged ({str(error).splitlines()[0]}). Move {folder.parent} away, and "
        "--resume goes on from the checkpoint before it."
    )


def _cause(error: "CheckpointException") -> BaseException:
    """What went wrong in the first process in which something did."""
    return next(iter(error.failures.values()))[0]
