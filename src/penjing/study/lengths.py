"""Loss beyond the trained length, by position encoding, and with RoPE stretched.

A window of L tokens is judged by its later half, which is what a longer context is for. Trained on
windows of T, each encoding is asked for T, 2T, 4T and 8T; what was never trained is told by the
encoding alone.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch.nn import functional as F

from penjing.data.batches import Tokens
from penjing.generate.inference import inference
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig, RopeScalingName
from penjing.model.families import build_model, with_context
from penjing.report.svg import Series, line_chart
from penjing.study.bench import EVAL_TOKENS, Bench
from penjing.study.order import ENCODINGS
from penjing.study.parts import Claim, Part, across
from penjing.train.config import OptimizerConfig, ScheduleConfig, TrainConfig

FACTORS = (1, 2, 4, 8)  # window lengths, in trained lengths
SCALINGS: tuple[RopeScalingName, ...] = ("linear", "ntk", "yarn")
NEAR = 0.1  # nats: losses that differ by less count as the same here


def measure_lengths(bench: Bench) -> dict[str, Any]:
    """Losses by encoding, length and seed; a length that an encoding does not have is null."""
    trained = bench.pick(64, quick=16)
    losses: dict[str, list[list[float | None]]] = {e: [] for e in ENCODINGS}
    stretched: dict[str, list[list[float | None]]] = {s: [] for s in SCALINGS}
    for encoding in ENCODINGS:
        for seed in bench.seeds:
            with bench.job(f"lengths, {encoding}, seed {seed}", weight=8.0):
                config = ModelConfig(
                    vocab_size=bench.text.tokenizer.vocab_size,
                    context_length=trained,
                    n_layer=bench.pick(3, quick=1),
                    n_embd=bench.pick(128, quick=16),
                    n_head=2,
                    position=encoding,
                )
                model = build_model(config, seed=seed)
                bench.train_on_text(model, _settings(bench, seed))
                losses[encoding].append(_by_length(bench, model, "none"))
                if encoding == "rope":
                    for scaling in SCALINGS:
                        stretched[scaling].append(_by_length(bench, model, scaling))
    lengths = [factor * trained for factor in FACTORS]
    return {"trained": trained, "lengths": lengths, "losses": losses, "stretched": stretched}


def _settings(bench: Bench, seed: int) -> TrainConfig:
    return TrainConfig(
        steps=bench.pick(200, quick=2),
        batch_size=bench.pick(16, quick=2),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.5),
        seed=seed,
        eval_every=0,
    )


def _by_length(bench: Bench, model: LanguageModel, scaling: RopeScalingName) -> list[float | None]:
    """The loss at each length; None where learned positions end."""
    trained = model.config.context_length
    learned = model.config.position == "learned"
    return [
        None
        if learned and factor > 1
        else later_half_loss(
            with_context(model, factor * trained, scaling if factor > 1 else "none"),
            bench.text.validation,
        )
        for factor in FACTORS
    ]


def later_half_loss(model: LanguageModel, tokens: Tokens) -> float:
    """Mean loss, nats per token, over the later half of each whole window of the context's length.

    Neither half windows nor what is left at the end of the text count.
    """
    length = model.config.context_length
    half = length // 2
    starts = torch.arange(0, len(tokens.ids) - length, length)
    total, count = 0.0, 0
    with inference(model):
        for part in torch.split(starts, max(1, EVAL_TOKENS // length)):
            windows = tokens.ids[part[:, None] + torch.arange(length + 1)]  # (B, L + 1)
            logits = model.head(model.hidden(windows[:, :-1])[:, half:])  # (B, L/2, V)
            targets = windows[:, 1 + half :]
            total += F.cross_entropy(
                logits.flatten(0, 1).float(), targets.flatten(), reduction="sum"
            ).item()
            count += targets.numel()
    return total / count


def present_lengths(found: Mapping[str, Any]) -> list[Part]:
    """Loss by length for the encodings, then for RoPE's scalings."""
    lengths, trained = found["lengths"], found["trained"]
    header = [*(f"{length} tokens" for length in lengths)]
    means = {name: _means(rows) for name, rows in found["losses"].items()}
    stretched = {name: _means(rows) for name, rows in found["stretched"].items()}
    alibi, rope, none, waves = (means[e] for e in ("alibi", "rope", "none", "sinusoidal"))
    encodings = Part(
        "Loss beyond the trained length",
        "超出训练长度之后的损失",
        f"Trained on windows of {trained} tokens of text; validation loss over the later half of "
        "longer windows, nats per token, mean over seeds (least-largest).",
        ["encoding", *header],
        _rows(found["losses"]),
        [
            Claim(
                f"ALiBi holds: {alibi[0]:.2f} at {lengths[0]} tokens, {alibi[-1]:.2f} at "
                f"{lengths[-1]}.",
                alibi[-1] < alibi[0] + NEAR,
            ),
            Claim(
                f"RoPE as it is does not: {rope[0]:.2f} and {rope[-1]:.2f}; nor sinusoids "
                f"({waves[0]:.2f} and {waves[-1]:.2f}) nor none ({none[0]:.2f} and "
                f"{none[-1]:.2f}).",
                all(row[-1] > row[0] + NEAR for row in (rope, waves, none)),
            ),
            Claim(
                "Learned positions have nothing beyond the trained length.",
                all(math.isnan(loss) for loss in means["learned"][1:]),
            ),
        ],
        [_chart("Loss beyond the trained length", lengths, means)],
    )
    rows = {"as it is": found["losses"]["rope"], **found["stretched"]}
    best = min(stretched, key=lambda name: stretched[name][-1])
    scalings = Part(
        "RoPE, stretched",
        "拉伸 RoPE",
        "The same trained RoPE models with their frequencies scaled to the window's length, and no "
        "further training.",
        ["scaling", *header],
        _rows(rows),
        [
            Claim(
                f"At {lengths[-1]} tokens the best scaling is {best}: {stretched[best][-1]:.2f}, "
                f"where RoPE as it is has {rope[-1]:.2f}.",
                stretched[best][-1] < rope[-1] - NEAR,
            ),
            Claim(
                f"Linear scaling, which squeezes what is near as well, has "
                f"{stretched['linear'][-1]:.2f} there: worse than NTK "
                f"({stretched['ntk'][-1]:.2f}) and YaRN ({stretched['yarn'][-1]:.2f}).",
                stretched["linear"][-1] > max(stretched["ntk"][-1], stretched["yarn"][-1]),
            ),
        ],
        [_chart("RoPE, stretched", lengths, {"as it is": rope, **stretched})],
    )
    return [encodings, scalings]


def _means(rows: Sequence[Sequence[float | None]]) -> list[float]:
    """Over seeds, for each length; NaN where there is nothing."""
    return [
        math.nan if None in column else fmean(loss for loss in column if loss is not None)
        for column in zip(*rows, strict=True)
    ]


def _rows(losses: Mapping[str, Sequence[Sequence[float | None]]]) -> list[list[str]]:
    def cell(column: Sequence[float | None]) -> str:
        known = [loss for loss in column if loss is not None]
        return across(known, 2) if known else "-"

    return [
        [name, *(cell(column) for column in zip(*rows, strict=True))]
        for name, rows in losses.items()
    ]


def _chart(title: str, lengths: Sequence[int], curves: Mapping[str, Sequence[float]]) -> str:
    return line_chart(
        [Series(name, list(zip(lengths, row, strict=True))) for name, row in curves.items()],
        title=title,
        x_label="tokens in the window",
        y_label="nats per token",
        x_log=True,
    )
