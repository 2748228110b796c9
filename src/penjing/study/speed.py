"""How fast models train as the window grows: one window at a time, and in full batches.

A recurrent layer works on one position after the other, on all windows of the batch at once; so
with one window there is next to nothing to do at once. How much that costs depends on how much the
processor could do at once: one core is kept busy by one window, several cores are not.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import torch
from torch.nn import functional as F

from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.report.svg import Series, line_chart
from penjing.study.bench import Bench
from penjing.study.parts import Claim, Part

Speeds = Mapping[str, Mapping[str, float]]  # model -> tokens in a window -> tokens per second


def measure_speed(
    bench: Bench, models: Mapping[str, ModelConfig], lengths: Sequence[int]
) -> dict[str, Speeds]:
    """Tokens per second, forward and backward: of one window, of as many as fill a batch, and of
    the longest window by threads."""
    built = {name: build_model(config).train() for name, config in models.items()}
    one: dict[str, dict[str, float]] = {name: {} for name in models}
    full: dict[str, dict[str, float]] = {name: {} for name in models}
    for length in lengths:
        with bench.job(f"speed at {length} tokens"):
            rows = bench.pick(4096, quick=128) // length
            for speeds, n_rows in ((one, 1), (full, rows)):
                seconds = _alternately(built, n_rows, length, bench.pick(7, quick=1))
                for name in models:
                    speeds[name][str(length)] = n_rows * length / median(seconds[name])
    return {"one": one, "full": full, "threads": _by_threads(bench, built, lengths[-1])}


def _by_threads(
    bench: Bench, models: Mapping[str, LanguageModel], length: int
) -> dict[str, dict[str, float]]:
    """Tokens per second of one window, by how many threads work on it: one, and all."""
    speeds: dict[str, dict[str, float]] = {name: {} for name in models}
    before = torch.get_num_threads()
    try:
        for n in dict.fromkeys((1, before)):
            torch.set_num_threads(n)
            seconds = _alternately(models, 1, length, bench.pick(7, quick=1))
            for name in models:
                speeds[name][str(n)] = length / median(seconds[name])
    finally:
        torch.set_num_threads(before)
    return speeds


def _alternately(
    models: Mapping[str, LanguageModel], rows: int, length: int, repeats: int
) -> dict[str, list[float]]:
    """The seconds of each repeat, the models in turn, so that all see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for repeat in range(repeats + 1):
        for name, model in models.items():
            spent = _forward_backward(model, rows, length)
            seconds[name] += [spent] if repeat else []  # the first one warms up
    return seconds


def _forward_backward(model: LanguageModel, rows: int, length: int) -> float:
    """Seconds for the gradients of one batch."""
    ids = torch.arange(rows * (length + 1)).remainder(model.config.vocab_size)
    ids = ids.view(rows, length + 1)
    begin = time.perf_counter()
    logits = model(ids[:, :-1])
    F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
    seconds = time.perf_counter() - begin
    model.zero_grad()
    return seconds


def present_speed(speeds: Mapping[str, Speeds], sizes: Mapping[str, int]) -> list[Part]:
    """Speeds by length, of one window and of full batches; and what more threads add."""
    series = {
        "Training speed, one window at a time": ("逐个序列训练的速度", speeds["one"]),
        "Training speed, full batches": ("整批训练的速度", speeds["full"]),
    }
    by_length = [_by_length(title, zh, rows, sizes) for title, (zh, rows) in series.items()]
    threads = list(speeds["threads"]["Transformer"])
    return by_length if len(threads) == 1 else [*by_length, _threads(speeds)]


def _by_length(title: str, title_zh: str, speeds: Speeds, sizes: Mapping[str, int]) -> Part:
    lengths = list(speeds["Transformer"])
    return Part(
        title,
        title_zh,
        "Tokens per second, forward and backward, by window length; medians of repeats in turn.",
        ["model", "parameters", *(f"{length} tokens" for length in lengths)],
        [[n, f"{sizes[n]:,}", *(f"{row[t]:,.0f}" for t in lengths)] for n, row in speeds.items()],
        charts=[
            line_chart(
                [Series(n, [(int(t), v) for t, v in row.items()]) for n, row in speeds.items()],
                title=title,
                x_label="tokens in a window",
                y_label="tokens per second",
                x_log=True,
                y_log=True,
            )
        ],
    )


def _threads(speeds: Mapping[str, Speeds]) -> Part:
    length = list(speeds["one"]["Transformer"])[-1]
    rows = speeds["threads"]
    one, more = rows["Transformer"]
    gain = {name: row[more] / row[one] for name, row in rows.items()}
    return Part(
        "What more threads add",
        "更多线程带来的加速",
        f"Tokens per second of one window of {length} tokens, forward and backward. In a recurrent "
        f"layer {length} steps wait for each other, in a layer of attention none.",
        ["model", f"{one} thread", f"{more} threads", "times as fast"],
        [
            [name, f"{row[one]:,.0f}", f"{row[more]:,.0f}", f"{gain[name]:.2f}"]
            for name, row in rows.items()
        ],
        [
            Claim(
                f"{more} threads train the Transformer {gain['Transformer']:.2f} times as fast as "
                f"one, the LSTM {gain['LSTM']:.2f} and the RNN {gain['RNN']:.2f} times.",
                gain["Transformer"] > max(gain["LSTM"], gain["RNN"]),
            )
        ],
    )
