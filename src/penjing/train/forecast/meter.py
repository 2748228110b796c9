"""How many bytes of tensors are alive after each operation, while a piece of training runs.

What autograd keeps for the backward pass, what the backward pass and the optimizer need beside it:
all of it is counted as it happens, by the real code, so that nothing needs to be known of a family.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages that are made while it is on, until they are freed.

        with MemoryMeter(device) as meter:
            model(ids)
        meter.live, meter.peak

    Buffers that a kernel takes and frees inside are not seen. Each operation costs some 10 us more.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self.live = 0  # bytes made and not yet freed
        self.timeline: list[int] = []  # `live` after each operation

    @property
    def peak(self) -> int:
        """The most bytes that were alive at once."""
        return max(self.timeline, default=0)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        known = {id(t.untyped_storage()) for t in _tensors((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if id(storage) not in known and tensor.device.type == self._device.type:
                self._count(storage)
        self.timeline.append(self.live)
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._alive:
            return

        def freed(_: weakref.ref[torch.UntypedStorage]) -> None:
            del self._alive[key]
            self.live -= size

        self._alive[key] = weakref.ref(storage, freed)
        self.live += size


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
