"""One part of GPT-2 taken out or done otherwise, all else equal: what is each part for?"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch

from penjing.core.types import SamplingParams
from penjing.generate.inference import inference
from penjing.generate.single import generate
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.trace import record
from penjing.report.svg import Series, line_chart
from penjing.study.bench import Bench, Fit
from penjing.study.parts import Claim, Part, across
from penjing.study.variants import UnmaskedGPT2, WrongResidualGPT2, build_variant, unscale
from penjing.train.config import OptimizerConfig, ScheduleConfig, TrainConfig

Build = Callable[[ModelConfig, int], LanguageModel]

REAL = "GPT-2 as it is"
VARIANTS: dict[str, Build] = {
    REAL: lambda config, seed: build_model(config, seed=seed),
    "no causal mask": lambda config, seed: build_variant(UnmaskedGPT2, config, seed=seed),
    "residual from the wrong tensor": lambda config, seed: build_variant(
        WrongResidualGPT2, config, seed=seed
    ),
    "head not tied": lambda config, seed: build_model(
        replace(config, tie_embeddings=False), seed=seed
    ),
    "plain initialisation": lambda config, seed: unscale(build_model(config, seed=seed)),
    "zero initialisation": lambda config, seed: build_model(config, seed=seed, init="zero"),
}
UNMASKED, WRONG, UNTIED, PLAIN, ZERO = [name for name in VARIANTS if name != REAL]
LITTLE = 0.1  # nats: a difference below it counts as little
PROMPT, SAMPLE_TOKENS = "def ", 60


def measure(bench: Bench) -> dict[str, Any]:
    """Losses of every variant, samples of two, and the residual stream's growth at the start."""
    bench.expect(len(VARIANTS) * len(bench.seeds))
    config = ModelConfig(
        family="gpt2",
        vocab_size=bench.text.tokenizer.vocab_size,
        context_length=bench.pick(64, quick=16),
        n_layer=bench.pick(4, quick=2),
        n_embd=bench.pick(128, quick=16),
        n_head=bench.pick(4, quick=1),
    )
    fits: dict[str, list[Fit]] = {name: [] for name in VARIANTS}
    honest: list[float] = []  # the unmasked model's weights, under the causal mask
    samples: dict[str, str] = {}
    parameters: dict[str, int] = {}
    for seed in bench.seeds:
        for name, build in VARIANTS.items():
            with bench.job(f"{name}, seed {seed}"):
                model = build(config, seed)
                fits[name].append(bench.train_on_text(model, _settings(bench, seed)))
                parameters[name] = model.n_parameters()
                if name == UNMASKED:
                    model = _masked(model)
                    honest.append(bench.evaluate(model).loss)
                if name in (REAL, UNMASKED) and name not in samples:
                    samples[name] = _sample(bench, model)
    figures = {
        "tokens": fits[REAL][0].losses[-1][0]
        * _settings(bench, 0).batch_size
        * config.context_length,
        "parameters": parameters,
        "training_loss": {name: [_last(fit) for fit in row] for name, row in fits.items()},
        "loss": {name: [fit.evaluated[-1][1] for fit in row] for name, row in fits.items()},
        "curves": {name: row[0].evaluated for name, row in fits.items()},
        "honest_loss": honest,
        "samples": samples,
        "growth": _growth(bench, config),
    }
    return {"figures": figures}


def _settings(bench: Bench, seed: int) -> TrainConfig:
    return TrainConfig(
        steps=bench.pick(300, quick=3),
        batch_size=bench.pick(16, quick=2),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(warmup_steps=20, decay_fraction=0.5),
        seed=seed,
        eval_every=bench.pick(60, quick=1),
    )


def _last(fit: Fit) -> float:
    """The training loss, over the last ten steps."""
    return fmean(loss for _, loss in fit.losses[-10:])


def _masked(model: LanguageModel) -> LanguageModel:
    """The same weights in the real model."""
    real = build_model(model.config)
    real.load_state_dict(model.state_dict())
    return real


def _sample(bench: Bench, model: LanguageModel) -> str:
    params = SamplingParams(temperature=0.8, max_new_tokens=SAMPLE_TOKENS, seed=bench.settings.seed)
    steps = generate(model, bench.text.tokenizer, PROMPT, params, on_overflow="slide")
    return PROMPT + "".join(step.text for step in steps)


def _growth(bench: Bench, config: ModelConfig) -> dict[str, list[float]]:
    """The root mean square of the residual stream after each layer, over that of the embeddings,
    before any training; deep, for that is where it matters."""
    deep = replace(config, n_layer=bench.pick(24, quick=3))
    ids = torch.randint(
        config.vocab_size,
        (4, config.context_length),
        generator=torch.Generator().manual_seed(bench.settings.seed),
    )
    growth = {}
    for name in (REAL, PLAIN, ZERO):
        model = VARIANTS[name](deep, bench.settings.seed)
        with inference(model), record(model, "embedded", "layers.*.residual") as seen:
            model(ids)
        sizes = [x.square().mean().sqrt().item() for x in seen.values()]
        growth[name] = [size / sizes[0] for size in sizes]
    return growth


def present(results: Mapping[str, Any]) -> list[Part]:
    """All variants, the causal mask, and the initialisation."""
    figures = results["figures"]
    return [_present_losses(figures), _present_mask(figures), _present_growth(figures["growth"])]


def _present_losses(figures: Mapping[str, Any]) -> Part:
    loss, count = figures["loss"], figures["parameters"]
    shown = [name for name in loss if name != UNMASKED]
    mean = {name: fmean(loss[name]) for name in shown}
    return Part(
        "One part done otherwise",
        "换掉一个部件",
        f"GPT-2's form after {figures['tokens']:,} tokens of text, all else equal; validation "
        "loss in nats per token, mean over seeds (least-largest).",
        ["model", "parameters", "validation loss", "difference"],
        [[n, f"{count[n]:,}", across(loss[n]), f"{mean[n] - mean[REAL]:+z.3f}"] for n in shown],
        [
            Claim(
                "With the second residual from the block's input, the loss is "
                f"{mean[WRONG]:.3f} instead of {mean[REAL]:.3f}: in so few layers the slip hardly "
                "shows, so a falling loss does not tell of it.",
                abs(mean[WRONG] - mean[REAL]) < LITTLE,
            ),
            Claim(
                f"A head of its own costs {count[UNTIED] - count[REAL]:,} parameters more and "
                f"gives a loss of {mean[UNTIED]:.3f} instead of {mean[REAL]:.3f}.",
                count[UNTIED] > count[REAL],
            ),
            Claim(
                f"At this depth the first weights matter little: scaled {mean[REAL]:.3f}, plain "
                f"{mean[PLAIN]:.3f}, zero {mean[ZERO]:.3f}.",
                max(abs(mean[n] - mean[REAL]) for n in (PLAIN, ZERO)) < LITTLE,
            ),
        ],
        [
            line_chart(
                [
                    Series(name, [tuple(point) for point in figures["curves"][name]])
                    for name in shown
                ],
                title="Validation loss",
                x_label="steps",
                y_label="nats per token",
            )
        ],
    )


def _present_mask(figures: Mapping[str, Any]) -> Part:
    training, loss = figures["training_loss"], figures["loss"]
    honest = figures["honest_loss"]
    return Part(
        "Without the causal mask",
        "没有因果掩码",
        "Each token sees the one that it is to predict. So its loss, on the training text and on "
        "the validation text alike, says nothing; asked without the future, as in generation, the "
        "same weights know less than nothing. Nats per token, mean over seeds (least-largest).",
        ["model", "training loss", "validation loss", "the same under the mask"],
        [
            [REAL, across(training[REAL]), across(loss[REAL]), across(loss[REAL])],
            [UNMASKED, across(training[UNMASKED]), across(loss[UNMASKED]), across(honest)],
        ],
        [
            Claim(
                f"Without the mask the training loss falls to {fmean(training[UNMASKED]):.3f}, "
                f"with it to {fmean(training[REAL]):.3f}.",
                fmean(training[UNMASKED]) < 0.1 * fmean(training[REAL]),
            ),
            Claim(
                f"Under the mask those weights have a loss of {fmean(honest):.2f}, against "
                f"{fmean(loss[REAL]):.2f}.",
                min(honest) > max(loss[REAL]),
            ),
        ],
        samples=list(figures["samples"].items()),
    )


def _present_growth(growth: Mapping[str, list[float]]) -> Part:
    n_layer = len(growth[REAL]) - 1
    last = {name: row[-1] for name, row in growth.items()}
    return Part(
        "How the residual stream grows before training",
        "训练之前残差流的增长",
        f"{n_layer} layers with random weights: the root mean square after each, over that of the "
        "embeddings.",
        ["initialisation", "after the first layer", "after the last layer"],
        [[name, f"{row[1]:.2f}", f"{row[-1]:.2f}"] for name, row in growth.items()],
        [
            Claim(
                f"After {n_layer} layers the stream is {last[PLAIN]:.2f} times as large with plain "
                f"initialisation, {last[REAL]:.2f} times with scaled, {last[ZERO]:.2f} with zero.",
                last[PLAIN] > last[REAL] > last[ZERO] == 1,
            )
        ],
        [
            line_chart(
                [Series(name, list(enumerate(row))) for name, row in growth.items()],
                title="Residual stream before training",
                x_label="layers",
                y_label="times the embeddings",
            )
        ],
    )
