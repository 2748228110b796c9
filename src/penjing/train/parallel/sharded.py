"""Optimizers whose parameters lie in shards (FSDP): each process keeps and updates its own rows.

The state of a shard belongs to a tensor of the whole parameter's shape (a DTensor), so that it is
saved under the same names as that of one process, and loads into any number of them.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from penjing.train.config import OptimizerConfig
from penjing.train.optimizers import AdamW, orthogonalize, squares


def local(tensor: Tensor) -> Tensor:
    """The rows that this process holds; all of them if the tensor is not in shards."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def as_shard(rows: Tensor, like: Tensor) -> Tensor:
    """This process's rows as a part of the whole tensor, which is in shards as `like` is."""
    assert isinstance(like, DTensor)
    return DTensor.from_local(
        rows,
        like.device_mesh,
        like.placements,
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )


def _fill(rows: Tensor, like: Tensor, value: Tensor) -> None:
    """Copy this process's rows out of a whole tensor, or out of one in the same shards.

    Raises:
        RuntimeError: it has another shape.
    """
    assert isinstance(like, DTensor)
    if value.shape != like.shape:
        raise RuntimeError(f"a tensor of {tuple(like.shape)} was saved as {tuple(value.shape)}")
    if isinstance(value, DTensor):
        rows.copy_(value.to_local())
    else:
        begin, end = _bounds(like)[like.device_mesh.get_local_rank()]
        rows.copy_(value[begin:end])


def _bounds(tensor: DTensor) -> list[tuple[int, int]]:
    """The (first, end) row of each process's shard: equal parts, the last ones shorter or empty."""
    n_rows, size = tensor.size(0), tensor.device_mesh.size()
    step = -(-n_rows // size)
    return [(min(r * step, n_rows), min((r + 1) * step, n_rows)) for r in range(size)]


class ShardedAdamW:
    """AdamW looks at each number by itself, so a shard is to it a parameter like any other."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], config: OptimizerConfig) -> None:
        self._parameters = dict(parameters)
        # Parameters that share the shards' memory.
        self._rows = {name: nn.Parameter(local(p.detach())) for name, p in parameters.items()}
        self._adamw = AdamW(self._rows, config)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for name, parameter in self._parameters.items():
            assert parameter.grad is not None
            self._rows[name].grad = local(parameter.grad)
        self._adamw.step(rate)
        for rows in self._rows.values():
            rows.grad = None

    def state(self) -> dict[str, Tensor]:
        return {
            key: tensor if key.startswith("steps.") else as_shard(tensor, self._whole(key))
            for key, tensor in self._adamw.state().items()
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for key, tensor in self._adamw.state().items():
            if key.startswith("steps."):
                tensor.copy_(state[key])
            else:
                _fill(tensor, self._whole(key), state[key])

    def _whole(self, key: str) -> Tensor:
        return self._parameters[key.partition(".")[2]]


class ShardedMuon:
    """Muon on matrices in shards.

    Momentum is kept row by row. To be made orthogonal a matrix must be whole: its rows go to one
    process, in the `dtype` of the products, and come back; the matrices are dealt out to the
    processes in turn, so that each does an equal part of the work (Distributed Muon, Liu et al.
    2025).
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        config: OptimizerConfig,
        *,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        self._config, self._dtype = config, dtype
        self._parameters = dict(sorted(parameters.items(), key=lambda item: -item[1].numel()))
        self._masters = {name: local(p.detach()) for name, p in self._parameters.items()}
        self._momentum = {name: torch.zeros_like(m) for name, m in self._masters.items()}
        shapes = [
            squares(torch.empty(p.shape, device="meta")).shape for p in self._parameters.values()
        ]
        # A tall piece takes a larger step, so that each of its outputs moves by as much.
        self._factors = [max(1.0, rows / columns) ** 0.5 for _, rows, columns in shapes]
        self._owners = _Owners([cast(DTensor, p.detach()) for p in self._parameters.values()])

    @torch.no_grad()
    def step(self, rate: float) -> None:
        config = self._config
        lr = config.muon_lr * rate
        masters, momentum = list(self._masters.values()), list(self._momentum.values())
        gradients = [local(p.grad).float() for p in self._parameters.values() if p.grad is not None]
        torch._foreach_lerp_(momentum, gradients, 1 - config.momentum)
        nesterov = torch._foreach_lerp(gradients, momentum, config.momentum)
        whole = self._owners.collect([rows.to(self._dtype) for rows in nesterov])
        updates = self._owners.hand_back(_orthogonalize_all(whole))
        if config.weight_decay:
            torch._foreach_mul_(masters, 1 - lr * config.weight_decay)
        for master, update, factor in zip(masters, updates, self._factors, strict=True):
            master.sub_(update.float(), alpha=lr * factor)

    def state(self) -> dict[str, Tensor]:
        return {
            f"{kind}.{name}": as_shard(tensors[name], parameter)
            for kind, tensors in (("master", self._masters), ("momentum", self._momentum))
            for name, parameter in self._parameters.items()
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        for kind, tensors in (("master", self._masters), ("momentum", self._momentum)):
            for name, parameter in self._parameters.items():
                _fill(tensors[name], parameter, state[f"{kind}.{name}"])


def _orthogonalize_all(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Each matrix with its pieces made orthogonal, those of one shape on one stack as in Muon."""
    done: dict[int, Tensor] = {}
    pieces = [squares(matrix) for matrix in matrices]
    for shape in dict.fromkeys(p.shape[1:] for p in pieces):
        places = [i for i, p in enumerate(pieces) if p.shape[1:] == shape]
        stack = torch.cat([pieces[i] for i in places])
        stack = orthogonalize(stack, dtype=stack.dtype)
        parts = torch.split(stack, [len(pieces[i]) for i in places])
        done |= {i: part.reshape(matrices[i].shape) for i, part in zip(places, parts, strict=True)}
    return [done[i] for i in range(len(matrices))]


class _Owners:
    """Which process makes which matrix whole, and the two exchanges of rows that this takes."""

    def __init__(self, parameters: Sequence[DTensor]) -> None:
        mesh = parameters[0].device_mesh
        self._group, self._rank, size = mesh.get_group(), mesh.get_local_rank(), mesh.size()
        self._columns = [p.size(1) for p in parameters]
        self._bounds = [_bounds(p) for p in parameters]
        self._owned = [range(owner, len(parameters), size) for owner in range(size)]
        self._mine = self._owned[self._rank]

    def collect(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """From this process's rows of every matrix to the whole matrices that it owns."""
        out = [[rows[i] for i in owned] for owned in self._owned]
        coming = [[self._shape(i, rank) for i in self._mine] for rank in range(len(out))]
        got = self._exchange(out, coming)
        return [torch.cat(parts) for parts in zip(*got, strict=True)]

    def hand_back(self, whole: Sequence[Tensor]) -> list[Tensor]:
        """The way back: from the whole matrices to this process's rows of every one."""
        mine = list(zip(self._mine, whole, strict=True))
        out = [
            [matrix[slice(*self._bounds[i][rank])] for i, matrix in mine]
            for rank in range(len(self._owned))
        ]
        coming = [[self._shape(i, self._rank) for i in owned] for owned in self._owned]
        got = self._exchange(out, coming)
        by_matrix = {
            i: rows
            for owned, parts in zip(self._owned, got, strict=True)
            for i, rows in zip(owned, parts, strict=True)
        }
        return [by_matrix[i] for i in range(len(self._columns))]

    def _exchange(
        self, out: Sequence[Sequence[Tensor]], coming: Sequence[Sequence[tuple[int, int]]]
    ) -> list[list[Tensor]]:
        """Send `out[rank]` to each process; from each come matrices of the shapes `coming[rank]`.

        One message to each, whatever the number of matrices.
        """
        sent = torch.cat([matrix.reshape(-1) for matrices in out for matrix in matrices])
        sizes = [[rows * columns for rows, columns in shapes] for shapes in coming]
        got = sent.new_empty(sum(map(sum, sizes)))
        torch.distributed.all_to_all_single(
            got,
            sent,
            [sum(each) for each in sizes],
            [sum(matrix.numel() for matrix in matrices) for matrices in out],
            group=self._group,
        )
        parts = iter(torch.split(got, [size for each in sizes for size in each]))
        return [[next(parts).view(shape) for shape in shapes] for shapes in coming]

    def _shape(self, matrix: int, rank: int) -> tuple[int, int]:
        begin, end = self._bounds[matrix][rank]
        return end - begin, self._columns[matrix]
