"""All that a run must remember to go on as if it had never stopped: tensors, and counters.

state.safetensors   float32 masters, the optimizer's averages, generators, the place in the data
state.json          counters, and the SHA-256 of each file of tensors

Several processes write several files instead of the first: see `penjing.train.parallel.shards`.
Whatever wrote them, any number of processes goes on from them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.model.tensor_files import read_json
from penjing.model.tensors import save_tensors
from penjing.train.objectives import Objective
from penjing.train.optimizers import Optimizer
from penjing.train.parallel.distributed import SINGLE, World
from penjing.train.parallel.shards import SavedTensors, own_shard, save_shards

TENSORS, COUNTERS = "state.safetensors", "state.json"


@dataclass(frozen=True)
class TrainingState:
    """A run between two steps."""

    tensors: Mapping[str, Tensor]  # "optimizer.KIND.PARAMETER", "data.KEY", "random.DEVICE"
    counters: Mapping[str, Any]  # plain values for JSON: steps done, seconds, the best loss, ...

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name` and a dot, without these."""
        start = f"{name}."
        return {
            key.removeprefix(start): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(start)
        }


def capture(
    optimizer: Optimizer,
    objective: Objective,
    counters: Mapping[str, Any],
    world: World = SINGLE,
) -> TrainingState:
    """The state as it is now. The tensors are the living ones: write or copy them at once."""
    parts = {
        "optimizer": optimizer.state(),
        "data": objective.state(),
        _random(world): _random_state(),
    }
    tensors = {f"{part}.{key}": t for part, ts in parts.items() for key, t in ts.items()}
    return TrainingState(tensors, counters)


def put_back(
    state: TrainingState,
    optimizer: Optimizer,
    objective: Objective | None,
    world: World = SINGLE,
) -> None:
    """Set the optimizer with the model's parameters, the data and the generators to `state`.

    Without an objective its place in the data stays as it is. A process that was not there when the
    state was saved keeps its generators.

    Raises:
        CheckpointError: the state belongs to another model, optimizer or device.
        DataError: it belongs to another text.
    """
    try:
        if isinstance(state.tensors, SavedTensors):
            now = {f"optimizer.{key}": tensor for key, tensor in optimizer.state().items()}
            state = TrainingState(state.tensors.like(now), state.counters)
        optimizer.restore(state.part("optimizer"))
        if objective is not None:
            objective.restore(state.part("data"))
        _set_random_state(state.part(_random(world)), required=world.is_main)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"The training state does not fit this run ({str(error).splitlines()[0]}): it belongs "
            "to another model, optimizer or kind of device. Resume with what it was saved with."
        ) from error


def save_state(folder: Path, state: TrainingState, world: World = SINGLE) -> None:
    """Write the files into `folder`, which is to be made whole by the caller.

    Raises:
        OSError: the disk refuses.
    """
    if world.is_single:
        file = folder / TENSORS
        save_tensors({key: _own(t.detach().cpu()) for key, t in state.tensors.items()}, file)
    else:
        save_shards(folder, state.tensors)
        file = own_shard(folder, world.rank)
    mine = {file.name: _digest(file)} if file.exists() else {}
    digests = {name: digest for each in world.gather(mine) for name, digest in each.items()}
    if world.is_main:
        counters = dict(state.counters)
        notes = {"counters": counters, "sha256": digests | {COUNTERS: _digest_of(counters)}}
        text = json.dumps(notes, indent=2, ensure_ascii=False) + "\n"
        (folder / COUNTERS).write_text(text, encoding="utf-8")


def load_state(folder: Path, world: World = SINGLE) -> TrainingState:
    """Read and verify the files. What several processes wrote is read when it is asked for.

    Raises:
        CheckpointError: one is missing or damaged.
    """
    notes = read_json(folder / COUNTERS)
    digests = notes.get("sha256")
    if not isinstance(digests, dict) or "counters" not in notes:
        raise CheckpointError(f"{folder / COUNTERS} is damaged: it lacks counters or sha256.")
    if digests.pop(COUNTERS, None) != _digest_of(notes["counters"]):
        raise CheckpointError(f"{folder / COUNTERS} is damaged: its counters were changed.")
    for name, digest in digests.items() if world.is_main else ():
        file = folder / name
        if file.parent != folder or not file.is_file():
            raise CheckpointError(f"{folder} is not whole: {name} is missing.")
        if _digest(file) != digest:
            raise CheckpointError(
                f"{file} is damaged: its SHA-256 is not the one in {COUNTERS}. Move "
                f"{folder.parent} away, and --resume goes on from the checkpoint before it."
            )
    if world.is_single and set(digests) == {TENSORS}:
        try:
            return TrainingState(load_file(folder / TENSORS), notes["counters"])
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{folder} is damaged ({error}).") from error
    return TrainingState(SavedTensors(folder), notes["counters"])


def _random(world: World) -> str:
    """Under which name a process keeps its generators: dropout differs from one to the next."""
    return "random" if world.is_main else f"random{world.rank}"


def _random_state() -> dict[str, Tensor]:
    """Torch's own generators, from which dropout draws."""
    devices = range(torch.cuda.device_count())
    return {"cpu": torch.get_rng_state()} | {
        f"cuda{device}": torch.cuda.get_rng_state(device) for device in devices
    }


def _set_random_state(state: Mapping[str, Tensor], *, required: bool) -> None:
    if not (state or required):
        return
    torch.set_rng_state(state["cpu"])
    for device in range(torch.cuda.device_count()):
        if f"cuda{device}" in state:
            torch.cuda.set_rng_state(state[f"cuda{device}"], device)


def _own(tensor: Tensor) -> Tensor:
    """Contiguous, and alone in its memory: safetensors refuses views of one stack."""
    alone = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return tensor if alone else tensor.clone(memory_format=torch.contiguous_format)


def _digest_of(counters: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(counters, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
