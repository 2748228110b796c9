"""RNN, LSTM and Transformer of equal size: speed on long windows, recall from far back, and text.

Two claims are put to the test. A recurrent network must read one token after the other, where
attention reads all at once. And a state of fixed size loses what is far back, where attention looks
it up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.report.svg import Series, line_chart
from penjing.study.bench import Bench, Fit, closest_width, count_parameters
from penjing.study.parts import Claim, Part, across
from penjing.study.recall import measure_recall, present_recall
from penjing.study.speed import measure_speed, present_speed
from penjing.study.tasks import RecallShape
from penjing.train.config import ScheduleConfig, TrainConfig

MODELS: dict[str, FamilyName] = {"Transformer": "qwen3", "LSTM": "lstm", "RNN": "rnn"}

CLOSE = 0.2  # nats: losses that differ by less count as close


def measure(bench: Bench) -> dict[str, Any]:
    """Speed by window length, recall by distance, loss on text."""
    lengths = bench.pick([32, 64, 128, 256, 512, 1024], quick=[32, 64])
    shape = bench.pick(RecallShape(), quick=RecallShape(pairs=4, values=4))
    bench.expect(len(lengths) + 4 * len(MODELS) * len(bench.seeds))
    readers = _equal(_transformer(bench, bench.text.tokenizer.vocab_size, n_embd=128))
    speeds = measure_speed(bench, readers, lengths)
    recall = measure_recall(bench, _equal(_transformer(bench, shape.vocab_size, n_embd=64)), shape)
    text, seconds = _text(bench, readers)
    return {
        "figures": {"recall": recall, "text": text},
        "timings": {"tokens_per_second": speeds, "text_seconds": seconds},
    }


def _transformer(bench: Bench, vocab_size: int, *, n_embd: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=vocab_size,
        context_length=bench.pick(128, quick=32),
        n_layer=2,
        n_embd=bench.pick(n_embd, quick=16),
        n_head=2,
    )


def _equal(transformer: ModelConfig) -> dict[str, ModelConfig]:
    """The Transformer, and the others as wide as gives them as many parameters."""
    n_parameters = count_parameters(transformer)
    others = {name: replace(transformer, family=family) for name, family in MODELS.items()}
    return {
        name: config if config == transformer else closest_width(config, n_parameters)
        for name, config in others.items()
    }


def _text(
    bench: Bench, models: Mapping[str, ModelConfig]
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Loss on the validation text after as many tokens; and the seconds of training."""
    train = TrainConfig(
        steps=bench.pick(300, quick=2),
        batch_size=bench.pick(16, quick=2),
        schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.5),
        eval_every=bench.pick(50, quick=1),
    )
    fits: dict[str, list[Fit]] = {name: [] for name in models}
    for seed in bench.seeds:
        for name, config in models.items():
            with bench.job(f"text, {name}, seed {seed}", weight=2.0):
                model = build_model(config, seed=seed)
                fits[name].append(bench.train_on_text(model, replace(train, seed=seed)))
    figures = {
        "tokens": train.steps * train.batch_size * models["Transformer"].context_length,
        "context_length": models["Transformer"].context_length,
        "parameters": {name: count_parameters(config) for name, config in models.items()},
        "loss": {name: [fit.evaluated[-1][1] for fit in row] for name, row in fits.items()},
        "curves": {name: row[0].evaluated for name, row in fits.items()},
    }
    return figures, {name: [fit.seconds for fit in row] for name, row in fits.items()}


def present(results: Mapping[str, Any]) -> list[Part]:
    """Speed twice, recall, text."""
    figures, timings = results["figures"], results["timings"]
    return [
        *present_speed(timings["tokens_per_second"], figures["text"]["parameters"]),
        present_recall(figures["recall"]),
        _present_text(figures["text"], timings["text_seconds"]),
    ]


def _present_text(text: Mapping[str, Any], seconds: Mapping[str, Sequence[float]]) -> Part:
    loss = text["loss"]
    means = [fmean(row) for row in loss.values()]
    claim = Claim(
        f"After {text['tokens']:,} tokens of text, in windows of {text['context_length']}, the "
        f"Transformer's loss is {across(loss['Transformer'])}, the LSTM's {across(loss['LSTM'])}, "
        f"the RNN's {across(loss['RNN'])}: on so little text, and with so little to look back on, "
        "they lie close together.",
        max(means) - min(means) < CLOSE,
    )
    return Part(
        "Loss on text, at as many tokens",
        "同样多文本后的损失",
        "Loss on validation text, nats per token, mean over seeds (least-largest).",
        ["model", "parameters", "validation loss", "seconds of training"],
        [
            [name, f"{text['parameters'][name]:,}", across(loss[name]), across(seconds[name], 1)]
            for name in loss
        ],
        [claim],
        [
            line_chart(
                [Series(name, [tuple(p) for p in row]) for name, row in text["curves"].items()],
                title="Validation loss",
                x_label="steps",
                y_label="nats per token",
            )
        ],
    )
