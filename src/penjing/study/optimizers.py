"""AdamW against Muon (with AdamW beside it), each with the best of as many learning rates.

The learning rate decides more than the optimizer, so neither is given one that suits the other: the
first seed tries as many rates for each, and the best one runs with the other seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.report.svg import Series, line_chart
from penjing.study.bench import Bench, Curve, Fit
from penjing.study.parts import Claim, Part, across
from penjing.train.config import OptimizerConfig, ScheduleConfig, TrainConfig


@dataclass(frozen=True)
class Contender:
    """An optimizer and the learning rates that it may choose from."""

    field: str  # of OptimizerConfig: which rate is chosen
    rates: tuple[float, ...]
    settings: OptimizerConfig


CONTENDERS = {
    "AdamW": Contender("lr", (0.001, 0.002, 0.004, 0.008, 0.016), OptimizerConfig(name="adamw")),
    "Muon": Contender(
        "muon_lr", (0.005, 0.01, 0.02, 0.04, 0.08), OptimizerConfig(name="muon", lr=0.004)
    ),
}


def measure(bench: Bench) -> dict[str, Any]:
    """Every rate with the first seed, then the best ones with the others, in turn."""
    n_rates = {name: bench.pick(len(c.rates), quick=2) for name, c in CONTENDERS.items()}
    first, *others = bench.seeds
    bench.expect(sum(n_rates.values()) + len(others) * len(CONTENDERS))
    tried: dict[str, dict[float, Fit]] = {name: {} for name in CONTENDERS}
    for name, contender in CONTENDERS.items():
        for rate in contender.rates[: n_rates[name]]:
            with bench.job(f"{name}, rate {rate}, seed {first}"):
                tried[name][rate] = _train(bench, contender, rate, first)
    best = {name: min(fits, key=lambda rate: _end(fits[rate])) for name, fits in tried.items()}
    fits = {name: [tried[name][best[name]]] for name in CONTENDERS}
    for seed in others:
        for name, contender in CONTENDERS.items():
            with bench.job(f"{name}, rate {best[name]}, seed {seed}"):
                fits[name].append(_train(bench, contender, best[name], seed))
    figures = {
        "tried": {
            name: {str(rate): _end(fit) for rate, fit in row.items()} for name, row in tried.items()
        },
        "best": best,
        "loss": {name: [_end(fit) for fit in row] for name, row in fits.items()},
        "curves": {name: _mean_curve(row) for name, row in fits.items()},
    }
    seconds = {name: [fit.seconds / len(fit.losses) for fit in row] for name, row in fits.items()}
    return {"figures": figures, "timings": {"seconds_per_step": seconds}}


def _train(bench: Bench, contender: Contender, rate: float, seed: int) -> Fit:
    config = ModelConfig(
        vocab_size=bench.text.tokenizer.vocab_size,
        context_length=bench.pick(64, quick=16),
        n_layer=bench.pick(2, quick=1),
        n_embd=bench.pick(128, quick=16),
        n_head=2,
    )
    train = TrainConfig(
        steps=bench.pick(300, quick=4),
        batch_size=bench.pick(32, quick=2),
        optimizer=replace(contender.settings, **{contender.field: rate}),  # type: ignore[arg-type]
        schedule=ScheduleConfig(warmup_steps=20, decay_fraction=0.5),
        seed=seed,
        eval_every=bench.pick(30, quick=1),
    )
    return bench.train_on_text(build_model(config, seed=seed), train)


def _end(fit: Fit) -> float:
    """The validation loss after the last step."""
    return fit.evaluated[-1][1]


def _mean_curve(fits: Sequence[Fit]) -> Curve:
    """Validation losses over seeds, by step."""
    return [
        (points[0][0], fmean(loss for _, loss in points))
        for points in zip(*(fit.evaluated for fit in fits), strict=True)
    ]


def first_step_below(curve: Sequence[Sequence[float]], loss: float) -> float | None:
    """Where a curve first reaches a loss, in a straight line between its points; None: nowhere."""
    before: Sequence[float] | None = None
    for step, value in curve:
        if value <= loss:
            if before is None or before[1] == value:
                return step
            share = (before[1] - loss) / (before[1] - value)
            return before[0] + share * (step - before[0])
        before = (step, value)
    return None


def present(results: Mapping[str, Any]) -> list[Part]:
    """The choice of rates, then the race by step and by second."""
    figures, timings = results["figures"], results["timings"]
    return [_present_rates(figures), _present_race(figures, timings["seconds_per_step"])]


def _present_rates(figures: Mapping[str, Any]) -> Part:
    claims = [
        Claim(
            f"{name}'s best rate, {figures['best'][name]:g}, lies inside its grid.",
            str(figures["best"][name]) in list(row)[1:-1],
        )
        for name, row in figures["tried"].items()
    ]
    return Part(
        "A learning rate for each",
        "各自的学习率",
        "Validation loss at the end, nats per token, with the first seed. Muon's rate is that of "
        "the matrices inside the blocks; AdamW beside it (embeddings, norms) keeps its own, 0.004.",
        ["optimizer", "learning rate", "validation loss"],
        [
            [name, rate, f"{loss:.3f}"]
            for name, row in figures["tried"].items()
            for rate, loss in row.items()
        ],
        claims,
    )


def _present_race(figures: Mapping[str, Any], seconds: Mapping[str, Sequence[float]]) -> Part:
    loss, curves = figures["loss"], figures["curves"]
    each = {name: fmean(values) for name, values in seconds.items()}
    steps = curves["AdamW"][-1][0]
    reached = first_step_below(curves["Muon"], fmean(loss["AdamW"]))
    share = (reached or steps) / steps
    slower = each["Muon"] / each["AdamW"]
    claims = [
        Claim(
            f"After {steps} steps Muon's loss is {across(loss['Muon'])}, AdamW's "
            f"{across(loss['AdamW'])}.",
            max(loss["Muon"]) < min(loss["AdamW"]),
        ),
        Claim(
            f"Muon reaches AdamW's last loss after {share:.0%} of the steps.", reached is not None
        ),
        Claim(
            f"A step of Muon takes {slower:.2f} times as long, so it is there after "
            f"{share * slower:.0%} of AdamW's time.",
            reached is not None and share * slower < 1,
        ),
    ]
    by_step = [Series(name, [tuple(point) for point in curve]) for name, curve in curves.items()]
    by_second = [
        Series(name, [(step * each[name], value) for step, value in curve])
        for name, curve in curves.items()
    ]
    axis = "validation loss, nats per token"
    return Part(
        "Loss by step and by second",
        "每步与每秒的损失",
        "The best rate of each, the same model, text and batches; mean over seeds (least-largest).",
        ["optimizer", "rate", "validation loss", "milliseconds a step"],
        [
            [
                name,
                f"{figures['best'][name]:g}",
                across(loss[name]),
                across([1000 * value for value in seconds[name]], 1),
            ]
            for name in loss
        ],
        claims,
        [
            line_chart(by_step, title="By step", x_label="steps", y_label=axis),
            line_chart(by_second, title="By second", x_label="seconds of training", y_label=axis),
        ],
    )
