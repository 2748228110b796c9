"""Telling permutations apart: without positions, attention sees a bag of tokens.

But a causal mask leaks order: a token attends to those before it alone, so from the second layer on
a model can count (Haviv et al. 2022; Kazemnejad et al. 2023). A single layer that is read at the
last token cannot, nor can any number of layers without the mask: there "none" is a bag of tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean
from typing import Any

import torch

from penjing.generate.inference import inference
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig, PositionName
from penjing.model.llama import Llama
from penjing.study.bench import Bench
from penjing.study.parts import Claim, Part, percent
from penjing.study.tasks import Order
from penjing.study.variants import UnmaskedLlama, build_variant
from penjing.train.config import OptimizerConfig, ScheduleConfig, TrainConfig

PHRASES = ("小处不可随便", "不可随处小便")  # "no carelessness in small things"; "no urinating here"
CHARACTERS, FIRST, SECOND = "小处不可随便", "小", "处"
ENCODINGS: tuple[PositionName, ...] = ("none", "learned", "sinusoidal", "rope", "alibi")
ROUNDING = 1e-12  # two probabilities in float64 that differ by less are equal
TOLD = 0.95  # a share of right answers above this counts as telling orders apart


@dataclass(frozen=True)
class Setting:
    """How the tokens see each other."""

    name: str
    n_layer: int
    kind: type[LanguageModel]


SETTINGS = (
    Setting("one layer, causal", 1, Llama),
    Setting("two layers, causal", 2, Llama),
    Setting("two layers, no mask", 2, UnmaskedLlama),
)


def measure_order(bench: Bench) -> dict[str, Any]:
    """Accuracy on permutations never seen, and what the models say of the two phrases."""
    known, unknown = _permutations()
    result: dict[str, Any] = {"accuracy": {}, "phrases": {}}
    for setting in SETTINGS:
        accuracy: dict[str, list[float]] = {}
        phrases: dict[str, dict[str, float]] = {}
        for encoding in ENCODINGS:
            accuracy[encoding] = []
            for seed in bench.seeds:
                with bench.job(f"order, {setting.name}, {encoding}, seed {seed}"):
                    task = Order(
                        CHARACTERS, FIRST, SECOND, known, rows=bench.pick(64, quick=8), seed=seed
                    )
                    model = _trained(bench, setting, encoding, task, seed)
                    accuracy[encoding].append(_accuracy(model, task, unknown))
                    phrases.setdefault(encoding, _phrases(model, task))  # of the first seed
        result["accuracy"][setting.name] = accuracy
        result["phrases"][setting.name] = phrases
    return result | {"trained_on": len(known), "tested_on": len(unknown)}


def _permutations() -> tuple[torch.Tensor, torch.Tensor]:
    """All orders of the six characters, in two halves: (N, 6) to train on, and to ask for.

    The two phrases are among those to ask for.
    """
    every = torch.tensor(list(permutations(range(len(CHARACTERS)))))
    every = every[torch.randperm(len(every), generator=torch.Generator().manual_seed(0))]
    phrases = torch.tensor([[CHARACTERS.index(c) for c in phrase] for phrase in PHRASES])
    is_phrase = (every[:, None] == phrases).all(2).any(1)  # (N,)
    others = every[~is_phrase]
    half = len(every) // 2
    return others[:half], torch.cat((others[half:], phrases))


def _trained(
    bench: Bench, setting: Setting, encoding: PositionName, task: Order, seed: int
) -> LanguageModel:
    config = ModelConfig(
        vocab_size=len(CHARACTERS) + 1,
        context_length=len(CHARACTERS) + 1,
        n_layer=setting.n_layer,
        n_embd=32,
        n_head=2,
        position=encoding,
    )
    model = build_variant(setting.kind, config, seed=seed)
    train = TrainConfig(
        steps=bench.pick(300, quick=3),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.5),
        seed=seed,
    )
    bench.train(model, task, train)
    return model.double()  # so that what should be equal is equal, but for rounding at 1e-16


def _accuracy(model: LanguageModel, task: Order, rows: torch.Tensor) -> float:
    """The share of permutations (N, 6) whose first of the two characters is the likelier one."""
    batch = task.ask(rows)
    with inference(model):
        logits = model(batch.inputs)[:, -1, list(task.pair)]  # (N, 2)
    answers = torch.tensor(task.pair)[logits.argmax(-1)]
    return (answers == batch.targets[:, -1]).double().mean().item()


def _phrases(model: LanguageModel, task: Order) -> dict[str, float]:
    """For each phrase the probability that 小 came first, and the largest difference anywhere."""
    inputs = task.ask(torch.cat([task.encode(phrase) for phrase in PHRASES])).inputs
    with inference(model):
        p = model(inputs)[:, -1].softmax(-1)  # (2, V)
    shown = dict(zip(PHRASES, p[:, task.pair[0]].tolist(), strict=True))
    difference = (p[0] - p[1]).abs().max().item()
    return shown | {"difference": 0.0 if difference < ROUNDING else difference}


def present_order(order: Mapping[str, Any]) -> list[Part]:
    """Accuracy by encoding, and the two phrases."""
    accuracy = order["accuracy"]
    one, two, bare = (setting.name for setting in SETTINGS)
    means = {s: {e: fmean(row) for e, row in rows.items()} for s, rows in accuracy.items()}
    others = [e for e in ENCODINGS if e != "none"]
    worst = min(means[s][e] for s in means for e in others)
    bag = order["phrases"]
    accuracy_part = Part(
        "Telling permutations apart",
        "分辨词序",
        f"Which of {FIRST} and {SECOND} came first, in a permutation of the six characters of "
        f"{PHRASES[0]}? Trained on {order['trained_on']} permutations, asked for "
        f"{order['tested_on']} others; the share of right answers, mean over seeds "
        "(least-largest). Chance is 50 %. Read at a question mark after the last character.",
        ["encoding", *accuracy],
        [[e, *(percent(accuracy[s][e]) for s in accuracy)] for e in ENCODINGS],
        [
            Claim(
                f"With any of {', '.join(others)}, at least {worst:.1%} are right.", worst > TOLD
            ),
            Claim(
                f"With none, one layer is right in {means[one]['none']:.1%} and two layers without "
                f"the mask in {means[bare]['none']:.1%}: a bag of tokens.",
                abs(means[one]["none"] - 0.5) < 0.05 and abs(means[bare]["none"] - 0.5) < 0.05,
            ),
            Claim(
                f"With none and two causal layers {means[two]['none']:.1%} are right: the mask "
                "alone tells of order.",
                means[two]["none"] > TOLD,
            ),
        ],
    )
    phrases_part = Part(
        f"{PHRASES[0]} and {PHRASES[1]}",
        "同样的字，不同的顺序",
        f"The probability that {FIRST} came first, for two phrases that were never trained on (one "
        "seed); and the largest difference between the two distributions over all tokens, in "
        f"float64. Right is near 1 for {PHRASES[0]} and near 0 for {PHRASES[1]}.",
        ["layers", "encoding", *PHRASES, "largest difference"],
        [
            [s, e, *(f"{row[p]:.3f}" for p in PHRASES), _difference(row["difference"])]
            for s, rows in bag.items()
            for e, row in rows.items()
        ],
        [
            Claim(
                "Without positions, one layer, or any layers without the mask, give both phrases "
                "the same distribution.",
                bag[one]["none"]["difference"] == 0 == bag[bare]["none"]["difference"],
            )
        ],
    )
    return [accuracy_part, phrases_part]


def _difference(value: float) -> str:
    return f"{value:.3f}" if value else "0 (equal)"
