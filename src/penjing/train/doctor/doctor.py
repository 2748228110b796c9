"""The loss doctor: names what goes wrong in a run, with evidence and a remedy.

It reads events alone: the same code watches a run (`Doctor`) and examines its log (`examine`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penjing.core.events import Event, settled
from penjing.train.config import TrainConfig
from penjing.train.doctor import signs_data, signs_layers, signs_loss
from penjing.train.doctor.causes import CAUSES, Severity, remedy
from penjing.train.doctor.history import Finding, History

PAUSE = 0.2  # of the run without the sign, after which it would be news again


@dataclass(frozen=True)
class Diagnosis:
    """One cause that was found: what was seen, and what to change."""

    step: int  # at which it was seen
    cause: str  # a key of CAUSES
    title: str
    evidence: str  # in figures
    remedy: str  # naming the settings
    severity: Severity


# For each cause, the events after which to look, and how.
SIGNS: dict[str, tuple[tuple[str, ...], Callable[[History], Finding | None]]] = {
    "nonfinite": (("nonfinite", "step"), signs_loss.nonfinite),
    "divergence": (("step",), signs_loss.divergence),
    "rate_too_high": (("step",), signs_loss.rate_too_high),
    "plateau": (("step",), signs_loss.plateau),
    "rate_too_low": (("step",), signs_loss.rate_too_low),
    "overfitting": (("eval",), signs_loss.overfitting),
    "above_band": (("eval",), signs_loss.above_band),
    "exploding_gradients": (("health",), signs_layers.exploding_gradients),
    "vanishing_gradients": (("health",), signs_layers.vanishing_gradients),
    "dead_neurons": (("health",), signs_layers.dead_neurons),
    "duplicate_data": (("data",), signs_data.duplicate_data),
    "leak": (("start",), signs_data.leak),
    "repeated_data": (("start",), signs_data.repeated_data),
    "too_little_data": (("start",), signs_data.too_little_data),
    "slowdown": (("step",), signs_loss.slowdown),
}


class Doctor:
    """Watches a run. With its settings, remedies come with figures."""

    def __init__(self, config: TrainConfig | None = None) -> None:
        self._run = History(config)
        self._seen: dict[str, int] = {}  # cause -> the last step at which it showed

    def observe(self, event: Event) -> list[Diagnosis]:
        """What is new with this event; a cause that goes on is told once."""
        self._run.add(event)
        return [
            diagnosis
            for cause, (kinds, _) in SIGNS.items()
            if event.kind in kinds and (diagnosis := self._look_for(cause))
        ]

    def _look_for(self, cause: str) -> Diagnosis | None:
        run, (_, sign) = self._run, SIGNS[cause]
        finding = sign(run)
        last = self._seen.get(cause)
        if finding is None:
            if last is not None and run.step - last > PAUSE * run.total_steps:
                del self._seen[cause]
            return None
        self._seen[cause] = run.step
        if last is not None:
            return None
        return Diagnosis(
            step=run.step,
            cause=cause,
            title=CAUSES[cause].title,
            evidence=finding.evidence,
            remedy=remedy(cause, run.config),
            severity=finding.severity,
        )


def examine(events: Iterable[Event], config: TrainConfig | None = None) -> list[Diagnosis]:
    """All diagnoses of a run, from its log, in the order in which they showed."""
    doctor = Doctor(config)
    return [diagnosis for event in settled(events) for diagnosis in doctor.observe(event)]
