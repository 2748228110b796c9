"""What a run has told so far, in the form that the doctor's signs read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from penjing.core.events import Event
from penjing.train.config import TrainConfig
from penjing.train.doctor.causes import Severity

Data = Mapping[str, Any]

WINDOW = 5  # "step" events of which the median is taken: one odd batch does not move it
SPIKE_WINDOW = 10  # events before a step that say what is usual
SPIKE = 0.15  # of the usual loss, and more than twice its spread: what batches differ by
CALM = 8  # of those events, without the highest: a leap must not hide the next one
SPIKE_LEAST = 0.05  # of the first loss: near zero, leaps mean nothing
NORM_SPIKE = 10.0  # times the usual gradient norm, and above the first: batches differ by less
UNIGRAM_LOW = 0.97  # of the unigram baseline: what counts as its level
UNIGRAM_HIGH = 0.2  # of the way back from it to the uniform baseline


@dataclass(frozen=True)
class Finding:
    """What a sign saw."""

    evidence: str
    severity: Severity = "warning"


@dataclass
class History:
    """The events of a run as lists; a step that comes again makes void what came after it."""

    config: TrainConfig | None = None
    data: Data = field(default_factory=dict)  # of the last event of that kind
    model: Data = field(default_factory=dict)
    start: Data = field(default_factory=dict)
    nonfinite: Data = field(default_factory=dict)
    step: int = 0  # of the last event that has one
    steps: list[Data] = field(default_factory=list)
    evals: list[Data] = field(default_factory=list)
    health: list[Data] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of `steps`, nats per token
    smooth: list[float] = field(default_factory=list)  # medians of the last WINDOW of them
    best: list[float] = field(default_factory=list)  # least of `smooth` so far
    spikes: list[int] = field(default_factory=list)  # steps at which loss or norm leapt up
    leaping: bool = False  # at the last step
    arrival: int | None = None  # index from which on `smooth` stays at the unigram level

    def add(self, event: Event) -> None:
        """Take note of an event."""
        data = event.data
        step = data.get("step")
        if step is not None:
            if event.kind == "resume" or (event.kind == "step" and step <= self.step):
                self._forget_after(step if event.kind == "resume" else step - 1)
            self.step = step
        if event.kind in ("data", "model", "start", "nonfinite"):
            setattr(self, event.kind, data)
        elif event.kind == "eval":
            self.evals.append(data)
        elif event.kind == "health":
            self.health.append(data)
        elif event.kind == "step":
            self._add_step(data)

    def _add_step(self, data: Data) -> None:
        loss = float(data["loss"])
        leaps = self._leaps(loss, float(data["grad_norm"]))
        if leaps and not self.leaping:
            self.spikes.append(data["step"])
        self.leaping = leaps
        self.steps.append(data)
        self.losses.append(loss)
        self.smooth.append(median(self.losses[-WINDOW:]))
        full = len(self.losses) >= WINDOW
        before = self.best[-1] if self.best else math.inf
        self.best.append(min(before, self.smooth[-1]) if full else before)
        if not self._at_unigram(self.smooth[-1]):
            self.arrival = None
        elif self.arrival is None:
            self.arrival = len(self.smooth) - 1

    def _at_unigram(self, loss: float) -> bool:
        unigram, uniform = self.baseline("unigram"), self.baseline("uniform")
        if unigram is None or uniform is None:
            return False
        high = unigram + UNIGRAM_HIGH * (uniform - unigram)
        return UNIGRAM_LOW * unigram <= loss <= high

    def _leaps(self, loss: float, norm: float) -> bool:
        if len(self.losses) < SPIKE_WINDOW:
            return False
        calm = sorted(self.losses[-SPIKE_WINDOW:])[:CALM]
        usual = median(calm)
        high = max(
            (1 + SPIKE) * usual, 2 * calm[-1] - calm[0], usual + SPIKE_LEAST * self.losses[0]
        )
        norms = [float(step["grad_norm"]) for step in self.steps[-SPIKE_WINDOW:]]
        first = float(self.steps[0]["grad_norm"])
        return loss > high or norm > max(NORM_SPIKE * median(norms), first)

    def _forget_after(self, step: int) -> None:
        kept = sum(s["step"] <= step for s in self.steps)
        for column in (self.steps, self.losses, self.smooth, self.best):
            del column[kept:]
        self.evals = [e for e in self.evals if e["step"] <= step]
        self.health = [h for h in self.health if h["step"] <= step]
        self.spikes = [s for s in self.spikes if s <= step]
        if self.arrival is not None and self.arrival >= kept:
            self.arrival = None

    @property
    def total_steps(self) -> int:
        """As planned."""
        return int(self.start.get("steps", 0) or (self.steps[-1]["steps"] if self.steps else 0))

    def baseline(self, name: str) -> float | None:
        """In nats per token, as the losses; None if not known."""
        bits = self.start.get("baselines", {}).get(name)
        bytes_per_token = self.start.get("bytes_per_token")
        if bits is None or not bytes_per_token:
            return None
        return float(bits) * math.log(2) * float(bytes_per_token)

    def bits(self, nats: float) -> str:
        """A loss for a reader: in bits per byte where that is known."""
        bytes_per_token = self.start.get("bytes_per_token")
        if not bytes_per_token:
            return f"{nats:.3f} nats per token"
        return f"{nats / math.log(2) / bytes_per_token:.3f} bits per byte"
