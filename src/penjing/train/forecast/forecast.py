"""What a run will need, before its first step: memory, time, arithmetic, disk; and what is odd.

Nothing is guessed that can be measured in a moment: see `penjing.train.forecast.probe`.
"""

import gc
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from penjing.core.garbage import give_back_freed
from penjing.model.memory import free_memory
from penjing.model.runtime import pick_device
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.curriculum import stages
from penjing.train.flops import flops_per_token, matmul_peak, parameters_by_part
from penjing.train.forecast.needs import USABLE, Memory, Needs, least, too_large
from penjing.train.forecast.probe import Timing, Trial, write_seconds
from penjing.train.prepare import Prepared, training_dtype
from penjing.train.progress import SAVE_SECONDS, SAVE_SHARE
from penjing.train.work import HEALTH_TOKENS

SMALL_FILES = 12  # of a checkpoint
BESIDE_TENSORS = 2 << 20  # bytes of a checkpoint, at most: mostly the tokenizer
ENOUGH = 20  # tokens for each parameter (Hoffmann et al. 2022)
PASSES = 4  # over a text that are worth nearly as much as new text (Muennighoff et al. 2023)


@dataclass(frozen=True)
class Forecast:
    """The fields of the "forecast" event."""

    parameters: Mapping[str, int]  # by part, and "total"
    memory: Memory  # bytes
    tokens: int  # that the run reads, those it reads again included
    epochs: float  # passes over the training text
    flops: float  # of all training steps
    flops_per_token: float  # at the full context
    step_seconds: float  # of an average step
    seconds: float  # of the whole run, with evaluation, samples and saving
    disk: int  # bytes, at most
    micro_batch_size: int  # windows of the full context that are computed at once
    peak_flops: float  # FLOP/s of a large matrix product here
    notes: tuple[str, ...]  # what one should know before it begins

    def event_data(self) -> dict[str, Any]:
        """Plain values, for the event."""
        return {**asdict(self), "notes": list(self.notes)}


def forecast(
    config: PretrainConfig,
    prepared: Prepared,
    available: int | None = None,
    *,
    folder: Path | None = None,
) -> Forecast:
    """Measure a model of the run's shape for a moment, and say what the run will need.

    Nothing that it writes stays, and it draws nothing from the run's generators: with and without
    it, a run is the same to the last bit. Call it as the run is called: threads set, freed memory
    kept.

    Args:
        available: bytes of memory that may still be taken; by default, what is free.
        folder: where the run will lie, for the room and the speed of its disk.

    Raises:
        TrainingError: not even one window fits in the memory, or not as many as the settings say.
        DataError, GenerationError: the text is shorter than a window; the prompt cannot be used.
    """
    folder = (folder or Path()).absolute()
    folder = next(place for place in (folder, *folder.parents) if place.is_dir())
    train, shape = config.train, prepared.shape
    device = pick_device(train.device)
    dtype = training_dtype(train, device)
    give_back_freed()
    room = free_memory(device) if available is None else available
    if room is not None and (needed := least(shape, dtype)) > room:
        raise too_large(shape, needed, room)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        trial = Trial(shape, train, device, dtype)
        needs = Needs.of(trial, prepared, room)
        size = needs.micro_batch(train, shape, room)
        at_once = size if size < train.batch_size else 0
        timing = trial.timing(prepared.training, prepared.validation, prepared.tokenizer, at_once)
        memory = needs.memory(size, room)
        saved = memory.weights + sum(t.nbytes for t in trial.state().values()) + BESIDE_TENSORS
    del trial
    gc.collect()
    give_back_freed()
    plan = _Plan(train, prepared)
    parameters = parameters_by_part(shape)
    total = sum(parameters.values())
    seconds = plan.seconds(timing, saved, folder)
    n_saves = plan.n_saves + (0 if train.save_every else int(seconds / SAVE_SECONDS))
    disk = saved * min(train.keep + 2, n_saves)  # newest, best, and the next while it is written
    return Forecast(
        parameters={**parameters, "total": total},
        memory=memory,
        tokens=plan.tokens,
        epochs=plan.tokens / len(prepared.training.ids),
        flops=plan.flops,
        flops_per_token=flops_per_token(shape, shape.context_length),
        step_seconds=plan.training_seconds(timing) / train.steps,
        seconds=seconds,
        disk=disk,
        micro_batch_size=size,
        peak_flops=matmul_peak(device, dtype),
        notes=(
            *_data_notes(plan.tokens, len(prepared.training.ids), total),
            *_machine_notes(train, memory, size, disk, shutil.disk_usage(folder).free),
        ),
    )


class _Plan:
    """How often a run does what."""

    def __init__(self, config: TrainConfig, prepared: Prepared) -> None:
        length = prepared.shape.context_length
        plan = stages(config, length)
        ends = [*(first for first, _ in plan[1:]), config.steps]
        self._config = config
        self._steps = [end - first for (first, _), end in zip(plan, ends, strict=True)]
        self._validation = len(prepared.validation.ids) - 1
        judged = prepared.transfer.texts.values() if prepared.transfer else ()
        self._judged = 2 * sum(len(text.ids) for text in judged)  # tokens, before and after
        self._sampled = min(config.sample_tokens, length)
        self.tokens, self.flops = 0, 0.0
        for n, (_, window) in zip(self._steps, plan, strict=True):
            tokens = n * max(1, config.batch_size * length // window) * window
            self.tokens += tokens
            self.flops += tokens * flops_per_token(prepared.shape, window)
        self.n_evals = self._times(config.eval_every)
        self.n_samples = self._times(config.sample_every)
        # Each evaluated step may be the best so far, and that one is saved.
        self.n_saves = max(self.n_evals, self._times(config.save_every))

    def training_seconds(self, timing: Timing) -> float:
        """Of the steps alone."""
        return sum(n * seconds for n, seconds in zip(self._steps, timing.steps, strict=True))

    def seconds(self, timing: Timing, saved: int, folder: Path) -> float:
        """Of the steps and of all that lies beside them, where a checkpoint has `saved` bytes."""
        config = self._config
        looks = self._times(config.health_every) if config.health_every else self.n_evals
        file, byte = write_seconds(folder)
        evaluated = self.n_evals * self._validation + looks * HEALTH_TOKENS + self._judged
        beside = (
            evaluated * timing.eval_token
            + self.n_samples * (timing.prompt + (self._sampled - 1) * timing.sample_token)
            + self.n_saves * (SMALL_FILES * file + saved * byte)
        )
        more = 0.0 if config.save_every else SAVE_SHARE
        return (self.training_seconds(timing) + beside) * (1 + more)

    def _times(self, every: int) -> int:
        """How often something is done that is due after each `every` steps and after the last."""
        return math.ceil(self._config.steps / every) if every else 1


def _data_notes(tokens: int, text_tokens: int, parameters: int) -> Iterator[str]:
    """Whether text and steps are enough for the size."""
    useful = min(tokens, PASSES * text_tokens)
    if useful < ENOUGH / 2 * parameters:
        short = "text" if useful < tokens or text_tokens * PASSES < ENOUGH * parameters else "steps"
        more = "more text" if short == "text" else "more train.steps"
        yield (
            f"Few tokens for the size: the model has {parameters:,} parameters and learns from "
            f"{useful:,} tokens, {useful / parameters:.2g} for each parameter, where about "
            f"{ENOUGH} make the best of the arithmetic (Hoffmann et al. 2022). It would gain from "
            f"{more}; a smaller model would lose little."
        )
    if tokens > PASSES * text_tokens:
        yield (
            f"The run reads its text {tokens / text_tokens:.1f} times. After about {PASSES} "
            "passes, reading it again is worth less and less (Muennighoff et al. 2023), and the "
            "model begins to learn it by heart: watch the validation loss."
        )


def _machine_notes(
    config: TrainConfig, memory: Memory, size: int, disk: int, free: int
) -> Iterator[str]:
    """Whether memory and disk are enough, and what was done about it."""
    if not config.micro_batch_size and size < config.batch_size:
        yield (
            f"The batch of {config.batch_size} windows does not fit in the memory at once: it is "
            f"computed {size} at a time, which makes the same steps."
        )
    room, taken = memory.available, memory.total - memory.process
    if room is not None and taken > USABLE * room:
        yield (
            f"The memory will be nearly full: the run takes {taken / 1e9:.2f} GB of the "
            f"{room / 1e9:.2f} GB that are free."
        )
    if disk > free:
        yield (
            f"The disk is too small: the checkpoints may take {disk / 1e9:.2f} GB, and "
            f"{free / 1e9:.2f} GB are free. Lower train.keep, or choose another place."
        )
    if config.compile:
        yield "The time is that without train.compile, which is not tried out beforehand."
