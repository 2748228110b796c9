"""What a model still knows of something seen far back: associative recall by distance."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch

from penjing.data.batches import IGNORED
from penjing.generate.inference import inference
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.report.svg import Series, line_chart
from penjing.study.bench import Bench, count_parameters
from penjing.study.parts import Claim, Part, percent
from penjing.study.tasks import Recall, RecallShape
from penjing.train.config import OptimizerConfig, ScheduleConfig, TrainConfig

# Tokens between pair and question.
BUCKETS = ((1, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 63))
LEARNED = 0.9  # recall above this counts as learned


def measure_recall(
    bench: Bench, models: Mapping[str, ModelConfig], shape: RecallShape
) -> dict[str, Any]:
    """The share of right answers by distance, after the same training."""
    buckets = [pair for pair in BUCKETS if pair[0] < shape.length]
    accuracy: dict[str, list[list[float]]] = {}
    for name, config in models.items():
        accuracy[name] = []
        for seed in bench.seeds:
            with bench.job(f"recall, {name}, seed {seed}", weight=2.0):
                model = build_model(config, seed=seed)
                train = TrainConfig(
                    steps=bench.pick(400, quick=3),
                    optimizer=OptimizerConfig(lr=0.004, muon_lr=0.01),
                    schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.5),
                    seed=seed,
                )
                bench.train(model, Recall(shape, bench.pick(32, quick=4), seed), train)
                accuracy[name].append(_answers(model, shape, buckets, bench.pick(1024, quick=16)))
    return {
        "pairs": shape.pairs,
        "chance": 1 / shape.values,
        "buckets": [f"{low}-{high}" for low, high in buckets],
        "middles": [(low * high) ** 0.5 for low, high in buckets],
        "parameters": {name: count_parameters(config) for name, config in models.items()},
        "accuracy": accuracy,
    }


def _answers(
    model: LanguageModel, shape: RecallShape, buckets: Sequence[tuple[int, int]], rows: int
) -> list[float]:
    """The share of right answers in each bucket of distances, on sequences never seen."""
    task = Recall(shape, rows, seed=0)
    batch, distances = task.draw_with_distances(rows, torch.Generator().manual_seed(2**40))
    with inference(model):
        right = model(batch.inputs).argmax(-1) == batch.targets
    asked = batch.targets != IGNORED
    within = [asked & (low <= distances) & (distances <= high) for low, high in buckets]
    return [right[mask].double().mean().item() for mask in within]


def present_recall(recall: Mapping[str, Any]) -> Part:
    """Right answers by distance, and who forgets."""
    accuracy, buckets = recall["accuracy"], recall["buckets"]
    means = {
        n: [fmean(column) for column in zip(*rows, strict=True)] for n, rows in accuracy.items()
    }
    claims = [
        Claim(
            f"The Transformer answers {means['Transformer'][-1]:.1%} of the questions "
            f"{buckets[-1]} tokens after their pair (chance {recall['chance']:.1%}).",
            means["Transformer"][-1] > LEARNED,
        )
    ] + [
        Claim(
            f"The {name} forgets: {means[name][0]:.1%} at {buckets[0]} tokens, "
            f"{means[name][-1]:.1%} at {buckets[-1]}.",
            means[name][0] > 1.5 * means[name][-1] and means[name][-1] < LEARNED,
        )
        for name in ("LSTM", "RNN")
    ]
    series = [
        Series(name, list(zip(recall["middles"], row, strict=True))) for name, row in means.items()
    ]
    return Part(
        "Recall by distance",
        "隔多远还记得",
        f"Associative recall: {recall['pairs']} keys with a value each, drawn anew for every "
        "sequence; each key is asked for once, near its pair or far from it. The share of right "
        "answers by how many tokens later that is, mean over seeds (least-largest).",
        ["model", "parameters", *buckets],
        [
            *(
                [
                    name,
                    f"{recall['parameters'][name]:,}",
                    *(percent(column) for column in zip(*rows, strict=True)),
                ]
                for name, rows in accuracy.items()
            ),
            ["chance", "", *([percent([recall["chance"]])] * len(buckets))],
        ],
        claims,
        [
            line_chart(
                series,
                title="Recall",
                x_label="tokens between the pair and the question",
                y_label="right answers",
                x_log=True,
                references={"chance": recall["chance"]},
            )
        ],
    )
