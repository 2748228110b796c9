"""How much memory a run needs, by part, and how many rows can be computed at once."""

import math
from dataclasses import dataclass

import torch

from penjing.core.errors import TrainingError
from penjing.core.garbage import give_back_freed
from penjing.evaluate.baselines import COUNTED
from penjing.model.config import ModelConfig
from penjing.model.memory import resident_memory
from penjing.train.config import TrainConfig
from penjing.train.flops import parameters_by_part
from penjing.train.forecast.probe import TRIED_ROWS, Footprint, Trial
from penjing.train.prepare import Prepared

USABLE = 0.8  # of the free memory: others want some too
GAPS = {"cpu": 1.4, "cuda": 1.05}  # bytes that the allocator takes for a byte of passing tensors


COUNTING = 36  # bytes for each training token while n-grams are counted


@dataclass(frozen=True)
class Memory:
    """Bytes, by part and at the peak; on a GPU, those of the GPU.

    Gradients come as the backward pass frees the activations, so the peak holds the larger of the
    two: total = process + weights + masters + optimizer + max(activations, gradients) + workspace.
    """

    process: int  # Python, libraries and the text, before there is a model
    weights: int  # in the precision that the model computes with
    masters: int  # the float32 copies that the optimizer works on
    gradients: int
    optimizer: int  # averages of gradients
    activations: int  # what the forward pass keeps for the backward pass, without the logits
    workspace: int  # logits, passing values, and the gaps that the allocator leaves
    total: int
    available: int | None  # what may be taken beside `process`; None if that is not known


@dataclass(frozen=True)
class Needs:
    """What was counted of a trial, in bytes."""

    device: torch.device
    process: int
    weights: int
    masters: int
    optimizer: int
    footprint: Footprint  # of a step, beside those
    evaluation: int  # of one pass, beside the weights
    counting: int  # of n-grams, for the baselines, beside the weights

    @classmethod
    def of(cls, trial: Trial, prepared: Prepared, room: int | None) -> "Needs":
        """Count. `room` is the memory that may be taken, if it is known.

        Raises:
            TrainingError: a step on a single window does not fit.
        """
        length = prepared.shape.context_length
        ids = prepared.training.ids[: length + 1]
        device = next(trial.model.parameters()).device
        weights = sum(p.nbytes for p in trial.model.parameters())
        optimizer = sum(t.nbytes for k, t in trial.state().items() if not k.startswith("master."))
        one = trial.timeline(ids, length, 1)
        peak = int(max(one.live) * GAPS[device.type])
        if room is None or trial.bytes + max(TRIED_ROWS) * peak <= USABLE * room:
            footprint = trial.footprint(ids, length)
        elif trial.bytes + peak <= USABLE * room:
            footprint = Footprint.bound(one)
        else:
            raise too_large(prepared.shape, trial.bytes + peak, room)
        return cls(
            device=device,
            weights=weights,
            masters=trial.bytes - weights - optimizer,
            optimizer=optimizer,
            footprint=footprint,
            evaluation=trial.evaluation_peak(prepared.validation),
            counting=COUNTING * min(len(prepared.training.ids), COUNTED),
            process=_held(device) - trial.bytes,
        )

    @property
    def state(self) -> int:
        """What stays from step to step."""
        return self.weights + self.masters + self.optimizer

    def peak(self, size: int) -> int:
        """The most that is alive beside `state`, with `size` windows of the full context at once.
        (A batch of shorter windows has as many tokens, and needs no more.)"""
        return max(self.footprint.peak(size), self.evaluation)

    def micro_batch(self, config: TrainConfig, shape: ModelConfig, room: int | None) -> int:
        """The setting; or, if that is 0, as many windows as fit.

        Raises:
            TrainingError: the setting does not fit, or nothing does.
        """
        rows, wanted, gaps = config.batch_size, config.micro_batch_size, GAPS[self.device.type]
        whole = min(wanted, rows) or rows
        if room is None:
            return whole
        if wanted:
            if (needed := self.state + self.peak(whole)) > room:
                raise too_large(shape, needed, room, rows=whole)
            return whole
        empty, full = (int(gaps * self.peak(n)) for n in (0, rows))
        slope = math.ceil((full - empty) / rows)  # the peak bends upwards: it lies below this line
        size = micro_batch(rows, self.state + empty, slope, room)
        if 0 < size < rows:  # from the second part on there are gradients already
            size = micro_batch(rows, self.state + empty + self.weights, slope, room)
        if not size:
            raise too_large(shape, self.state + empty + slope, room)
        return size

    def memory(self, size: int, room: int | None) -> Memory:
        """By part, with `size` windows at once. To be called when steps of that size were made: the
        total is what the process holds then, freed memory that it keeps included."""
        counted = self.process + self.state + self.peak(size)
        before = self.process + self.weights + (self.counting if self.device.type == "cpu" else 0)
        total = max(counted, before, _held_at_most(self.device))
        activations = int(size * self.footprint.kept)
        rest = self.process + self.state + max(activations, self.weights)
        return Memory(
            process=self.process,
            weights=self.weights,
            masters=self.masters,
            gradients=self.weights,
            optimizer=self.optimizer,
            activations=activations,
            workspace=max(0, total - rest),
            total=max(total, rest),
            available=room,
        )


def micro_batch(rows: int, bytes_fixed: int, bytes_per_row: int, available: int) -> int:
    """How many rows to compute at once, so that a batch of `rows` is cut into the fewest parts that
    fit into 80 % of the available bytes, as equal as can be; 0 if not even one row fits."""
    left = int(USABLE * available) - bytes_fixed
    most = rows if bytes_per_row <= 0 else min(rows, left // bytes_per_row)
    if left < 0 or most < 1:
        return 0
    parts = math.ceil(rows / most)
    return math.ceil(rows / parts)


def least(shape: ModelConfig, dtype: torch.dtype) -> int:
    """Bytes that a run cannot do without: weights, gradients, masters and one average of each, and
    the float32 logits of one window with their gradient. Known before there is a model."""
    n = sum(parameters_by_part(shape).values())
    master = 0 if dtype == torch.float32 else 4
    logits = 2 * 4 * shape.context_length * shape.vocab_size
    return n * (2 * dtype.itemsize + master + 4) + logits


def too_large(shape: ModelConfig, needed: int, room: int, *, rows: int = 1) -> TrainingError:
    """The error for what does not fit."""
    many = "a single window" if rows == 1 else f"{rows} windows at once"
    less = "" if rows == 1 else "Set train.micro_batch_size to 0, which takes as many as fit; or "
    advice = f"{less}lower model.n_layer, model.n_embd or model.context_length."
    return TrainingError(
        f"The model does not fit in the memory: with {many} of {shape.context_length} tokens it "
        f"needs at least {needed / 1e9:.2f} GB, and {room / 1e9:.2f} GB are free. "
        f"{advice[0].upper()}{advice[1:]}"
    )


def _held(device: torch.device) -> int:
    """Bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    give_back_freed()
    return resident_memory() or 0


def _held_at_most(device: torch.device) -> int:
    """Since the last `_held`; on the CPU, where freed memory is kept for the next tensor."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resident_memory() or 0
