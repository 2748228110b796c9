"""Text -> tokenizer -> tokens -> trained model: one run, begun anew or gone on with."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from penjing.core.config import to_dict
from penjing.core.errors import CheckpointError, DataError, TrainingError
from penjing.core.events import Listener, read_events, settled
from penjing.core.files import check_free
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.runtime import default_threads, keep_freed_memory, memory_errors, pick_device
from penjing.train.checkpoints import TRAINING, Checkpoints
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.doctor.doctor import Doctor
from penjing.train.parallel.distributed import SINGLE, World, join
from penjing.train.prepare import Prepared, check, new_model, prepare, training_dtype
from penjing.train.run import LOG, Journal, Run, new_run, old_run, read_settings
from penjing.train.state import TrainingState, load_state
from penjing.train.work import Work, checkpoints_of


def pretrain(config: PretrainConfig, *, out: str | Path, listeners: Sequence[Listener] = ()) -> Run:
    """Train a tokenizer and a model on the text that `config.data` names, into a new folder `out`.

    Nothing is written before the text, the tokenizer, the model and the sample's prompt are known
    to be good. On Linux the process keeps freed memory from here on (`keep_freed_memory`).

    Raises:
        StorageError: `out` exists, or cannot be written.
        DataError, TokenizerError, ConfigError, TrainingError: see their texts.
        GenerationError: `train.sample_prompt` cannot be used.
    """
    check(config)
    with join(config.train.device) as world:
        return _begin(config, Path(out), listeners, world)


def _begin(config: PretrainConfig, out: Path, listeners: Sequence[Listener], world: World) -> Run:
    world.main_first(lambda: check_free(out))
    tell = Journal(listeners if world.is_main else ())
    tell.doctor = Doctor(config.train)
    prepared = prepare(config, tell, world=world)
    with _session(config.train, world):
        size = _foresee(config, prepared, out, tell, world)
        model = new_model(config, prepared)
        work = Work(config, prepared, model, out, tell, world, micro_batch_size=size)
        work.begin()
        with new_run(work.out, config, tell) if world.is_main else nullcontext():
            return work.run()


def dry_run(
    config: PretrainConfig, *, out: str | Path = ".", listeners: Sequence[Listener] = ()
) -> None:
    """Tell what `pretrain` would need: memory, time, and the disk of `out`. Nothing is kept.

    Raises:
        As `pretrain`.
    """
    check(config)
    tell = Journal(listeners)
    prepared = prepare(config, tell)
    with _session(config.train, SINGLE):
        _foresee(config, prepared, Path(out), tell, SINGLE)
        Work(config, prepared, new_model(config, prepared), Path(), tell, SINGLE).begin()


def resume(
    path: str | Path, *, listeners: Sequence[Listener] = (), accept_changed_data: bool = False
) -> Run:
    """Go on with an interrupted run from its last whole checkpoint, with the settings it has.

    On the CPU, with as many threads, losses and weights are the same to the last bit as if it had
    never stopped. A run that was killed before its first checkpoint begins anew.

    Args:
        accept_changed_data: go on although the text is no longer the same; the place in it is lost.

    Raises:
        CheckpointError: there is no run, or it is damaged, or its checkpoint is another run's.
        DataError: the text has changed.
        TrainingError: the run is complete.
        StorageError: another process works on it.
    """
    path = Path(path)
    config = read_settings(path)
    check(config)
    with join(config.train.device) as world:
        return _go_on(path, config, listeners, accept_changed_data, world)


def _go_on(
    path: Path,
    config: PretrainConfig,
    listeners: Sequence[Listener],
    accept_changed_data: bool,
    world: World,
) -> Run:
    with ExitStack() as opened:
        tell = Journal(listeners if world.is_main else ())
        checkpoints = checkpoints_of(path, config)
        if world.is_main:
            opened.enter_context(old_run(path, tell))
            checkpoints.sweep()
        world.barrier()
        if is_complete(path):
            raise TrainingError(
                f"The run in {path} is complete: {config.train.steps} steps. To train its model "
                "further, start a new run from it with --from."
            )
        saved = _Saved.newest(checkpoints, config, world)
        previous = saved.checkpoint if saved else None
        prepared = prepare(config, tell, saved=previous, world=world)
        same = saved is None or saved.state.counters["data"] == prepared.fingerprint
        if not (same or accept_changed_data):
            raise DataError(
                f"The text of {', '.join(config.data.sources)} is no longer the one that the run "
                f"in {path} was trained on (its SHA-256 differs). Bring it back; or say "
                "--accept-changed-data, and the run goes on with the text as it is now."
            )
        counters = saved.state.counters if saved else {"step": 0, "side_work": 0}
        tell(
            "resume",
            step=counters["step"],
            side_work=counters["side_work"],
            path=str(saved.path) if saved else "",
        )
        with _session(config.train, world):
            if saved:  # in parts of another size, sums would be rounded in another way
                size = int(saved.state.counters["micro_batch_size"])
            else:
                size = _foresee(config, prepared, path, tell, world)
            model = saved.load_model(config) if saved else new_model(config, prepared)
            work = Work(config, prepared, model, path, tell, world, micro_batch_size=size)
            work.begin()
            return work.run(saved.state if saved else None, restore_data=same)


@dataclass(frozen=True)
class _Saved:
    """The checkpoint that a run goes on from."""

    path: Path
    checkpoint: Checkpoint
    state: TrainingState

    @classmethod
    def newest(
        cls, checkpoints: Checkpoints, config: PretrainConfig, world: World
    ) -> "_Saved | None":
        path = checkpoints.newest()
        if path is None:
            return None
        saved = cls(path, Checkpoint.open(path), load_state(path / TRAINING, world))
        lineage = saved.checkpoint.lineage
        differing = differences(lineage[-1].settings if lineage else {}, to_dict(config))
        if differing:
            raise CheckpointError(
                f"{path} belongs to a run with other settings ({', '.join(differing[:5])}). Move "
                "it away, or bring back the config.json that it was made with."
            )
        return saved

    def load_model(self, config: PretrainConfig) -> LanguageModel:
        device = pick_device(config.train.device)
        dtype = training_dtype(config.train, device)
        return self.checkpoint.load_model(device=device, dtype=dtype).requires_grad_(True)


def _foresee(
    config: PretrainConfig, prepared: Prepared, out: Path, tell: Journal, world: World
) -> int:
    """Tell the forecast; the micro-batch size that fits in the memory, 0 if the whole batch does.

    For several processes nothing is foreseen: what they share of a machine is not known here.

    Raises:
        TrainingError: not even one window fits.
    """
    if not world.is_single:
        return config.train.micro_batch_size
    from penjing.train.forecast.forecast import forecast

    found = forecast(config, prepared, folder=out)
    tell("forecast", **found.event_data())
    size = found.micro_batch_size
    return size if size < config.train.batch_size else 0


def is_complete(path: str | Path) -> bool:
    """Whether the run there has done all its steps, and has said so.

    Raises:
        DataError: its log is damaged.
    """
    log = settled(read_events(Path(path) / LOG))
    return any(e.kind == "done" and not e.data["interrupted"] for e in log)


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of the settings that are not the same in both."""
    names = []
    for key in dict.fromkeys((*one, *other)):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key}")
    return names


@contextmanager
def _session(config: TrainConfig, world: World) -> Iterator[None]:
    """As many CPU threads as asked for, and torch's generator seeded, until the block ends."""
    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or default_threads())
    try:
        with torch.random.fork_rng(), memory_errors():
            # Dropout draws from torch's own generator: in each process from another one.
            torch.manual_seed(config.seed + world.rank)
            yield
    finally:
        torch.set_num_threads(before)
