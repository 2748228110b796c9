"""What a test has several processes do: `torchrun ... together.py train|reload FOLDER`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from penjing.core.events import Event
from penjing.data.batches import Batch, Tokens
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.parallel.distributed import SINGLE, World, join
from penjing.train.parallel.replica import replicate
from penjing.train.progress import Hooks, Snapshot
from penjing.train.state import capture, load_state, put_back, save_state

IDS = torch.randint(20, (4000,), generator=torch.Generator().manual_seed(0))
TOKENS = Tokens(IDS, 4000, 1)
# Three processes share no dimension of this model evenly, and some get no row of a tensor at all.
MODEL = ModelConfig(vocab_size=20, n_layer=2, n_embd=32, n_head=2, n_kv_head=1, context_length=16)

# One optimizer, one way to share and one micro-batch size each; all are clipped in most steps.
CASES: dict[str, dict[str, Any]] = {
    f"{optimizer}-{parallel}-{micro}": {
        "parallel": parallel,
        "micro_batch_size": micro,
        "optimizer": OptimizerConfig(name=optimizer, grad_clip=0.3, weight_decay=0.1),
    }
    for optimizer in ("adamw", "muon")
    for parallel in ("ddp", "fsdp")
    for micro in (0, 2)
}


class Uneven(NextToken):
    """Five rows, of which every fourth batch has only its last three: unequal shares, and none."""

    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        batch.targets[4, : step % 16] = -100
        if step % 4 == 3:
            batch.targets[:2] = -100
        return batch


def config(case: str, steps: int) -> TrainConfig:
    return TrainConfig(steps=steps, batch_size=5, log_every=1, eval_every=steps, **CASES[case])


def losses(
    case: str,
    world: World = SINGLE,
    *,
    steps: int = 20,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
    compiled: bool = False,
    save: tuple[int, Path] | None = None,
    resume: Path | None = None,
) -> list[list[float]]:
    """Loss and gradient norm of each step, and at the end the loss on all tokens."""
    settings = replace(config(case, steps), compile=compiled, save_every=save[0] if save else 0)
    torch.manual_seed(1 + world.rank)
    model = build_model(replace(MODEL, dropout=dropout), seed=2).to(dtype)
    generator = torch.Generator().manual_seed(3)
    objective = Uneven(Curriculum(TOKENS, settings, 16, generator))
    replica = replicate(model, settings, world)
    told: list[Event] = []

    def keep(snapshot: Snapshot) -> Path:
        assert save is not None
        if snapshot.step == save[0]:
            if world.is_main:
                save[1].mkdir()
            world.barrier()
            save_state(save[1], snapshot.state, world)
            world.barrier()
        return save[1]

    hooks = Hooks(
        tell=told.append,
        evaluate=lambda: replica.evaluate(TOKENS, context_length=16, batch_size=64),
        save=keep if save else None,
    )
    state = load_state(resume, world) if resume else None
    train(model, objective, settings, hooks, resume=state, replica=replica)
    rows = [[e.data["loss"], e.data["grad_norm"]] for e in told if e.kind == "step"]
    return [*rows, *([e.data["loss"]] for e in told if e.kind == "eval")]


def copy(case: str, world: World, source: Path, target: Path) -> None:
    """Load a state into this number of processes, and write it anew."""
    settings = config(case, 20)
    model = build_model(MODEL, seed=9)
    objective = Uneven(Curriculum(TOKENS, settings, 16, torch.Generator()))
    replica = replicate(model, settings, world)
    optimizer = replica.optimizer(settings.optimizer)
    state = load_state(source, world)
    put_back(state, optimizer, objective, world)
    if world.is_main:
        target.mkdir()
    world.barrier()
    save_state(target, capture(optimizer, objective, state.counters, world), world)


def do_train(world: World, folder: Path) -> Mapping[str, Any]:
    done: dict[str, Any] = {}
    for case in CASES:
        saved = (20, folder / case) if case.endswith("-2") else None
        done[case] = losses(case, world, save=saved)
    for case in ("adamw-ddp-0", "muon-fsdp-0"):
        done[f"{case} in bf16"] = losses(case, world, steps=10, dtype=torch.bfloat16)
        middle = folder / f"{case} after 3 steps"
        straight = losses(case, world, steps=6, dropout=0.2, save=(3, middle))
        resumed = losses(case, world, steps=6, dropout=0.2, resume=middle)
        done[f"{case} resumed"] = [straight, resumed]
    done["rank 1 stops all"] = [world.any(world.rank == 1), world.any(False)]
    done["told by rank 0"] = world.gather(world.agree({"é": world.rank}))
    return done


def do_reload(world: World, folder: Path) -> Mapping[str, Any]:
    for case in ("muon-ddp-2", "muon-fsdp-2", "adamw-fsdp-2"):
        copy(case, world, folder / case, folder / f"{case} by {world.size}")
    copy("muon-fsdp-2", world, folder / "alone", folder / f"alone by {world.size}")
    return {"losses": losses("muon-fsdp-0", world)}


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    with join("cpu") as world:
        done = {"train": do_train, "reload": do_reload}[what](world, folder)
        if world.is_main:
            (folder / f"{what}.json").write_text(json.dumps(done))


if __name__ == "__main__":
    main()
