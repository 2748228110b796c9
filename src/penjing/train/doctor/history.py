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
SPIKE_WINDOW = 50  # events before a step that say what is usual
SPIKE_FROM = 20  # events, of which fewer do not say it
SPREADS = 6.0  # median absolute deviations: four standard deviations of what batches differ by
SPIKE = 0.15  # of the usual loss: less is no leap, however even the batches are
SPIKE_LEAST = 0.05  # of the first loss: near zero, leaps mean nothing
ROSE = 0.5  # of a leap's least size, by which the smoothed loss must rise too: not an odd batch
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
    spikes: list[int] = field(default_factory=list)  # indices at which loss or norm leapt up
    arrival: int | None = None  # index from which on `smooth` stays at the unigram level
    paced: int = 0  # index from which on tokens and seconds go together

    def add(self, event: Event) -> None:
        """Take note of an event."""
        data = event.data
        step = data.get("step")
        if step is not None:
            again = event.kind == "step" and step <= self.step
            if again or event.kind in ("resume", "rollback"):
                self._forget_after(step - 1 if again else step)
            if again or event.kind == "rollback":  # tokens went back, seconds did not
                self.paced = len(self.steps)
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
        self.steps.append(data)
        self.losses.append(float(data["loss"]))
        self.smooth.append(median(self.losses[-WINDOW:]))
        last = len(self.steps) - 1
        if self._leaps(last) and not self._leaps(last - 1):
            self.spikes.append(last)
        full = len(self.losses) >= WINDOW
        before = self.best[-1] if self.best else math.inf
        self.best.append(min(before, self.smooth[-1]) if full else before)
        if not self._at_unigram(self.smooth[-1]):
            self.arrival = None
        elif self.arrival is None:
            self.arrival = last

    def _at_unigram(self, loss: float) -> bool:
        unigram, uniform = self.baseline("unigram"), self.baseline("uniform")
        if unigram is None or uniform is None:
            return False
        high = unigram + UNIGRAM_HIGH * (uniform - unigram)
        return UNIGRAM_LOW * unigram <= loss <= high

    def _leaps(self, i: int) -> bool:
        """Whether loss or gradient norm leap up at an index."""
        if i < SPIKE_FROM:
            return False
        norms = [float(step["grad_norm"]) for step in self.steps[max(0, i - SPIKE_WINDOW) : i]]
        high = max(NORM_SPIKE * median(norms), float(self.steps[0]["grad_norm"]))
        usual, least = self._usual(i)
        return self.losses[i] > usual + least or float(self.steps[i]["grad_norm"]) > high

    def rose_after(self, i: int) -> bool:
        """Whether the smoothed loss rose too, within WINDOW looks from a leap at this index on."""
        _, least = self._usual(i)
        return max(self.smooth[i : i + WINDOW]) > self.smooth[i - 1] + ROSE * least

    def _usual(self, i: int) -> tuple[float, float]:
        """The loss that the looks before an index make one expect, and how far a leap is above.

        Each look is held against the smoothed loss before it, so that a fall is no spread.
        """
        before = range(max(1, i - SPIKE_WINDOW), i)
        apart = [self.losses[j] - self.smooth[j - 1] for j in before]
        middle = median(apart)
        spread = median(abs(x - middle) for x in apart)
        level = self.smooth[i - 1]
        least = max(SPREADS * spread, SPIKE * level, SPIKE_LEAST * self.losses[0])
        return level + middle, least

    def _forget_after(self, step: int) -> None:
        kept = sum(s["step"] <= step for s in self.steps)
        for column in (self.steps, self.losses, self.smooth, self.best):
            del column[kept:]
        self.evals = [e for e in self.evals if e["step"] <= step]
        self.health = [h for h in self.health if h["step"] <= step]
        self.spikes = [i for i in self.spikes if i < kept]
        self.paced = min(self.paced, kept)
        self.arrival = kept
        while self.arrival and self._at_unigram(self.smooth[self.arrival - 1]):
            self.arrival -= 1
        if self.arrival == kept:
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
