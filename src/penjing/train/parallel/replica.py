"""One model on several processes: whole in each (DDP), or in shards (FSDP2).

A `Replica` is the model as one process holds it. Rows of the batch are dealt out; gradients become
the same average everywhere (DDP, Li et al. 2020), or each process keeps a part of weights,
gradients and optimizer, and weights are gathered layer by layer when they are needed (FSDP, Zhao et
al. 2023; ZeRO, Rajbhandari et al. 2020).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn

from penjing.core.errors import ConfigError
from penjing.data.batches import IGNORED, Batch, Tokens, windows
from penjing.evaluate.loss import LossReport, check_tokens, evaluate_loss, total_loss
from penjing.generate.inference import inference
from penjing.model.base import LanguageModel
from penjing.model.families import rebuild
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.objectives import Objective
from penjing.train.optimizers import Optimizer, build_optimizer
from penjing.train.parallel.distributed import SINGLE, World

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

T = TypeVar("T")


class Replica(ABC):
    """The model as this process holds it. All processes call each method together."""

    def __init__(self, model: LanguageModel, world: World) -> None:
        self.model, self.world = model, world

    @abstractmethod
    def backward(self, objective: Objective, part: Batch, weight: float, *, last: bool) -> float:
        """Add the gradients of `weight` times the mean loss of `part`, and return that loss.

        After the `last` part of a batch they are the average over the processes.
        """

    def compute(self, function: Callable[[LanguageModel], T]) -> T:
        """`function` of the model, without gradients and without dropout."""
        with inference(self.model):
            return function(self.model)

    def whole(self) -> LanguageModel | None:
        """In the main process, a model with all weights: to save, or to sample from."""
        return self.model if self.world.is_main else None

    def evaluate(self, tokens: Tokens, *, context_length: int, batch_size: int) -> LossReport:
        """`evaluate_loss`, with the batches of windows dealt out to the processes.

        Raises:
            DataError: fewer than two tokens, so nothing to predict.
        """
        check_tokens(tokens)
        rank, size = self.world.rank, self.world.size
        batches = list(windows(tokens, context_length, batch_size))
        total, n_tokens = 0.0, 0
        for first in range(0, len(batches), size):
            # Where there is none left, one is computed again: each pass is a meeting.
            batch = batches[min(first + rank, len(batches) - 1)]
            loss = self.compute(partial(_total_loss, batch))
            if first + rank < len(batches):
                total += loss
                n_tokens += int((batch.targets != IGNORED).sum())
        total, count = self.world.sum(total, n_tokens)
        return LossReport.of(total, int(count), tokens.n_bytes)

    def optimizer(self, config: OptimizerConfig) -> Optimizer:
        """The optimizer of the model's parameters as they lie here."""
        return build_optimizer(self.model, config)

    def local(self, tensor: Tensor) -> Tensor:
        """The part of a parameter, or of its gradient, that this process holds."""
        return tensor

    def join_norms(self, norms: list[Tensor]) -> list[Tensor]:
        """Norms of whole tensors, from those of the local parts."""
        return norms


def _total_loss(batch: Batch, model: LanguageModel) -> float:
    device = next(model.parameters()).device
    hidden = model.hidden(batch.inputs.to(device))  # (B, T, C)
    return total_loss(model, hidden, batch.targets.to(device)).item()


class Alone(Replica):
    """One process: nothing is shared."""

    def evaluate(self, tokens: Tokens, *, context_length: int, batch_size: int) -> LossReport:
        return evaluate_loss(
            self.model, tokens, context_length=context_length, batch_size=batch_size
        )

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model, SINGLE)

    def backward(self, objective: Objective, part: Batch, weight: float, *, last: bool) -> float:
        loss = objective.loss(self.model, part)
        (loss if weight == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]
        return loss.item()


class Pass(nn.Module):
    """Any computation of a model as one forward pass, so that DDP and FSDP see where it begins.

    An objective may call the model twice, or its parts; they only watch `forward`.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[[LanguageModel], Any]) -> Any:
        return function(self.model)


class Replicated(Replica):
    """A whole model in each process; while gradients are computed, they are averaged."""

    def __init__(self, model: LanguageModel, world: World) -> None:
        super().__init__(model, world)
        from torch.nn.parallel import DistributedDataParallel

        weight = next(model.parameters())
        self._pass = DistributedDataParallel(Pass(model), gradient_as_bucket_view=True)
        if weight.dtype != torch.float32:
            self._pass.register_comm_hook(None, _average_in_float32)

    def backward(self, objective: Objective, part: Batch, weight: float, *, last: bool) -> float:
        with nullcontext() if last else self._pass.no_sync():
            loss: Tensor = self._pass(lambda model: objective.loss(model, part))
            (loss * weight).backward()  # type: ignore[no-untyped-call]
        return loss.item()


def _average_in_float32(
    _state: object,
    bucket: torch.distributed.GradBucket,  # type: ignore[name-defined]
) -> torch.futures.Future[Tensor]:
    """The sum of bf16 gradients, which in bf16 would be rounded once for each process."""
    gradients = bucket.buffer()
    total = gradients.float().div_(torch.distributed.get_world_size())
    future = torch.distributed.all_reduce(total, async_op=True).get_future()

    def publish(done: torch.futures.Future[list[Tensor]]) -> Tensor:
        averaged: Tensor = gradients.copy_(done.value()[0])
        return averaged

    return future.then(publish)  # type: ignore[no-any-return]


class Sharded(Replica):
    """Each process keeps an equal part of every weight, gathered layer by layer when needed.

    The shards are the float32 masters; layers compute in the precision that the model came in.
    """

    def __init__(self, model: LanguageModel, world: World) -> None:
        super().__init__(model, world)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
        from torch.distributed.tensor import DTensor

        weight = next(model.parameters())
        self._dtype, self._shards = weight.dtype, DTensor
        self._mesh = init_device_mesh(weight.device.type, (world.size,))
        policy = MixedPrecisionPolicy(
            param_dtype=self._dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
        model.float()
        for layer in model.get_submodule("layers").children():
            fully_shard(layer, mesh=self._mesh, mp_policy=policy)
        self._pass = Pass(model)
        fully_shard(self._pass, mesh=self._mesh, mp_policy=policy)

    def backward(self, objective: Objective, part: Batch, weight: float, *, last: bool) -> float:
        cast("FSDPModule", self._pass).set_requires_gradient_sync(last)
        loss: Tensor = self._pass(lambda model: objective.loss(model, part))
        (loss * weight).backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def compute(self, function: Callable[[LanguageModel], T]) -> T:
        """Every process must run as many forward passes, for in each of them all must meet."""
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            value: T = self._pass(function)
        self.model.train(training)
        cast(
            "FSDPModule", self._pass
        ).reshard()  # else the next step would compute with these weights once more
        return value

    def whole(self) -> LanguageModel | None:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_model_state_dict(self.model, options=options)
        if not self.world.is_main:
            return None
        model = rebuild(self.model.config, cast(dict[str, Tensor], state))
        return model.to(self._dtype).train(self.model.training)

    def optimizer(self, config: OptimizerConfig) -> Optimizer:
        from penjing.train.parallel.sharded import ShardedAdamW, ShardedMuon

        muon = partial(ShardedMuon, dtype=self._dtype)
        return build_optimizer(self.model, config, muon=muon, adamw=ShardedAdamW)

    def local(self, tensor: Tensor) -> Tensor:
        return tensor.to_local() if isinstance(tensor, self._shards) else tensor

    def join_norms(self, norms: list[Tensor]) -> list[Tensor]:
        squares = torch.stack(norms).float().square()
        torch.distributed.all_reduce(squares)
        return list(squares.sqrt().unbind())


def _compile(model: LanguageModel, *, layers_alone: bool) -> None:
    """torch.compile in place, before DDP or FSDP; FSDP gathers weights between compiled layers."""
    for part in model.get_submodule("layers").children() if layers_alone else (model,):
        part.compile()


def replicate(model: LanguageModel, config: TrainConfig, world: World) -> Replica:
    """The model as `config.parallel` says; it must be in the same state in all processes.

    Raises:
        ConfigError: there are more processes than rows in a batch.
    """
    if config.compile:
        _compile(model, layers_alone=config.parallel == "fsdp" and not world.is_single)
    if world.is_single:
        return Alone(model)
    if config.batch_size < world.size:
        raise ConfigError(
            f"train.batch_size is {config.batch_size}, which {world.size} processes cannot share. "
            f"Make it {world.size} or more, or start fewer processes."
        )
    return Sharded(model, world) if config.parallel == "fsdp" else Replicated(model, world)
