"""A model and an optimizer as a run will have them: measured for a moment, and thrown away.

Bytes are counted on a few rows and drawn out to any number (see `Footprint`); seconds are taken
from a few real steps. Nothing of it reaches the run: it draws from generators of its own.
"""

import hashlib
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from penjing.core.types import SamplingParams
from penjing.data.batches import Batch, Tokens
from penjing.evaluate.loss import evaluate_loss
from penjing.generate.load import DEFAULTS
from penjing.generate.single import generate
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import TrainConfig
from penjing.train.curriculum import Curriculum, stages
from penjing.train.forecast.meter import MemoryMeter
from penjing.train.gradients import Gradients
from penjing.train.objectives import NextToken, Objective
from penjing.train.parallel.replica import Alone
from penjing.train.work import EVAL_TOKENS

TRIED_ROWS = (2, 4)
SAMPLED = 6  # tokens that are drawn to see how long one takes
WRITTEN = 4 << 20  # bytes that are written to see how long saving takes
SECONDS, SHARE = 2.0, 0.02  # what timing steps may take: seconds, and share of the run's steps


@dataclass(frozen=True)
class Footprint:
    """What a step needs beside weights and optimizer, by the rows that are computed at once.

    The bytes alive after an operation grow in a straight line with the rows; which operation is the
    peak may change with them. So each operation has a line of its own.
    """

    fixed: Sequence[float]  # bytes alive after each operation that belong to no row
    of_row: Sequence[float]  # and those for each row
    kept: float  # bytes for each row: what the forward pass keeps for the backward pass

    @classmethod
    def through(cls, few: "Timeline", more: "Timeline") -> "Footprint":
        """From two steps, each on at least two rows. (One row goes other ways at times: what has
        size 1 need not be copied.)"""
        rows = more.rows - few.rows
        kept = (more.kept - few.kept) / rows
        if len(few.live) != len(more.live):  # no telling which operation answers to which
            return cls((0,), (max(more.live) / more.rows,), kept)
        slopes = [(b - a) / rows for a, b in zip(few.live, more.live, strict=True)]
        fixed = [a - few.rows * slope for a, slope in zip(few.live, slopes, strict=True)]
        return cls(fixed, slopes, kept)

    @classmethod
    def bound(cls, one: "Timeline") -> "Footprint":
        """From a step on one row: as if all of it grew with the rows."""
        return cls((0,), (max(one.live),), one.kept)

    def peak(self, rows: int) -> int:
        """The most that is alive at any time of a step."""
        points = zip(self.fixed, self.of_row, strict=True)
        return math.ceil(max(fixed + rows * of_row for fixed, of_row in points))


@dataclass(frozen=True)
class Timeline:
    """A step, as the memory saw it."""

    rows: int
    live: Sequence[int]  # bytes after each operation, beside weights and optimizer
    kept: int  # at the end of the forward pass, without the logits


@dataclass(frozen=True)
class Timing:
    """Seconds of each kind of work."""

    steps: tuple[float, ...]  # one optimizer step, in each stage of the curriculum
    eval_token: float  # one token of evaluation
    prompt: float  # a sample's first token
    sample_token: float  # each further one


class Trial:
    """A model of the run's shape, dtype and device with random weights, and its optimizer."""

    def __init__(
        self, shape: ModelConfig, config: TrainConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._config = replace(config, compile=False)  # it takes a minute: longer than the trial
        self._device = device
        with MemoryMeter(device) as meter:
            model = build_model(shape, seed=config.seed, init=config.init)
            self.model = model.to(device=device, dtype=dtype).train()
            self._replica = Alone(self.model)
            self._optimizer = self._replica.optimizer(config.optimizer)
        self.bytes = meter.live  # weights, masters and averages
        self._gradients = Gradients(self._replica)

    def state(self) -> dict[str, Tensor]:
        """What the optimizer remembers; see `penjing.train.optimizers.Optimizer`."""
        return self._optimizer.state()

    def timeline(self, ids: Tensor, length: int, rows: int) -> Timeline:
        """A step on `rows` windows of `length` tokens."""
        window = ids[: length + 1].expand(rows, -1)
        batch = Batch(window[:, :-1].contiguous(), window[:, 1:].contiguous())
        kept = 0

        def forward_ends(_module: object, _inputs: object, logits: Tensor) -> None:
            nonlocal kept
            kept = meter.live - logits.nbytes

        handle = self.model.register_forward_hook(forward_ends)
        try:
            with MemoryMeter(self._device) as meter:
                self._step(_OneBatch(batch), 0, 0)
        finally:
            handle.remove()
        return Timeline(rows, meter.timeline, kept)

    def footprint(self, ids: Tensor, length: int) -> Footprint:
        """From steps on a few windows."""
        return Footprint.through(*(self.timeline(ids, length, rows) for rows in TRIED_ROWS))

    def evaluation_peak(self, tokens: Tokens) -> int:
        """Bytes of one pass of evaluation, beside the weights."""
        with MemoryMeter(self._device) as meter:
            self._evaluate(_beginning(tokens))
        peak: int = meter.peak
        return peak

    def timing(
        self, training: Tokens, validation: Tokens, tokenizer: Tokenizer, micro_batch_size: int
    ) -> Timing:
        """Seconds of steps, evaluation and sampling; a micro-batch size of 0 is the whole batch."""
        seconds = self._time_steps(training, micro_batch_size)
        part = _beginning(validation)
        evaluation = _seconds(lambda: self._evaluate(part)) / (len(part.ids) - 1)
        prompt, token = self._time_sample(tokenizer)
        return Timing(seconds, evaluation, prompt, token)

    def _step(self, objective: Objective, step: int, micro_batch_size: int) -> None:
        """What the loop does in a step; see `penjing.train.loop`."""
        batch = objective.batch(step)
        self._gradients.fill(objective, batch, micro_batch_size)
        norm = self._gradients.norm()
        self._gradients.clip(norm, self._config.optimizer.grad_clip)
        self._optimizer.step(1.0)
        self._gradients.clear()

    def _time_steps(self, training: Tokens, micro_batch_size: int) -> tuple[float, ...]:
        """The median step of each stage, after one that is not counted."""
        length = self.model.config.context_length
        generator = torch.Generator().manual_seed(0)
        objective = NextToken(Curriculum(training, self._config, length, generator))
        plan = stages(self._config, length)
        medians = []
        for first, _ in plan:

            def step(first: int = first) -> None:
                self._step(objective, first, micro_batch_size)
                self._wait()

            warm = _seconds(step)
            budget = min(SECONDS, SHARE * warm * self._config.steps) / len(plan) - warm
            taken = [_seconds(step)]
            while sum(taken) + taken[-1] < budget:
                taken.append(_seconds(step))
            medians.append(statistics.median(taken))
        return tuple(medians)

    def _evaluate(self, tokens: Tokens) -> None:
        length = self.model.config.context_length
        rows = max(1, EVAL_TOKENS // length)
        evaluate_loss(self.model, tokens, context_length=length, batch_size=rows)

    def _time_sample(self, tokenizer: Tokenizer) -> tuple[float, float]:
        """Seconds until the first token, and of each further one."""
        most = min(SAMPLED, self._config.sample_tokens)
        params: SamplingParams = replace(DEFAULTS, max_new_tokens=most, seed=0)
        clock = [time.perf_counter()]
        for _ in generate(self.model, tokenizer, self._config.sample_prompt, params):
            clock.append(time.perf_counter())
        prompt, *rest = (b - a for a, b in pairwise(clock))
        return prompt, statistics.median(rest) if rest else prompt

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class _OneBatch(NextToken):
    """The same batch in every step."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def batch(self, step: int) -> Batch:
        return self._batch


def _beginning(tokens: Tokens) -> Tokens:
    """As much of a text as one pass of evaluation reads."""
    ids = tokens.ids[: EVAL_TOKENS + 1]
    return Tokens(ids, max(1, tokens.n_bytes * len(ids) // len(tokens.ids)), 1)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def write_seconds(folder: Path) -> tuple[float, float]:
    """Seconds to bring a small file to the disk, and for each byte more, with its SHA-256.

    Tried on a file without a name, which is gone when it is closed; where that cannot be made, on
    the system's place for such files. A disk that has no room for it is taken to cost no time: the
    forecast speaks of its room.
    """
    data = random.Random(0).randbytes(WRITTEN)
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())

    def write(size: int) -> None:
        with tempfile.TemporaryFile(dir=place if os.access(place, os.W_OK) else None) as file:
            file.write(data[:size])
            file.flush()
            os.fsync(file.fileno())
        hashlib.sha256(data[:size]).digest()

    try:
        small = _seconds(lambda: write(1))
        return small, max(0.0, _seconds(lambda: write(WRITTEN)) - small) / WRITTEN
    except OSError:
        return 0.0, 0.0
