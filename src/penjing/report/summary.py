"""A run in one row."""

import math
from dataclasses import dataclass

from penjing.report.log import RunLog, real
from penjing.report.units import clock, si


@dataclass(frozen=True)
class Summary:
    """The figures by which one tells a run from others. What is not known is NaN, or empty."""

    name: str
    state: str  # finished, interrupted, failed
    model: str  # family and size
    step: int
    steps: int
    loss: float  # nats per token of the validation text, when it was evaluated last
    bits_per_byte: float
    best: tuple[int, float] | None  # step and bits per byte of the best evaluation
    seconds: float  # of the whole run, or of training if it has no end
    tokens_per_second: float
    changed: float  # when its log was written last, in seconds since the epoch

    @staticmethod
    def of(log: RunLog) -> "Summary":
        """From its log."""
        done, step, model = log.last("done"), log.last("step"), log.last("model")
        total = real(done.get("total_seconds"))
        resumed = bool(log.of_kind("resume"))  # then its total is that of the last part alone
        size = real(model.get("parameters"))
        evaluated = log.bits_per_byte("eval")
        return Summary(
            name=log.name,
            state=log.state,
            model=f"{model['family']} {si(size)}" if "family" in model else "",
            step=log.step,
            steps=log.steps,
            loss=real(log.last("eval").get("loss")),
            bits_per_byte=evaluated[-1][1] if evaluated else math.nan,
            best=log.best(),
            seconds=real(step.get("seconds")) if resumed or math.isnan(total) else total,
            tokens_per_second=real(step.get("tokens_per_second")),
            changed=log.events[-1].time if log.events else 0.0,
        )

    def cells(self) -> tuple[str, ...]:
        """As text: state, model, steps, loss, bits per byte, the best of these, time, speed."""
        best = f"{self.best[1]:.4f} @ {self.best[0]:,}" if self.best else "–"
        return (
            self.state,
            self.model or "–",
            f"{self.step:,}/{self.steps:,}" if self.steps else f"{self.step:,}",
            _figure(self.loss, ".4f"),
            _figure(self.bits_per_byte, ".4f"),
            best,
            clock(self.seconds) if math.isfinite(self.seconds) else "–",
            f"{si(self.tokens_per_second)}/s" if math.isfinite(self.tokens_per_second) else "–",
        )


def _figure(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"
