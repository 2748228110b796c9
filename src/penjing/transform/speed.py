"""How fast models run on the engine that will run them: prefill and decoding, tokens a second."""

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from penjing.generate.load import LoadedModel, load
from penjing.generate.runners.runner import Chunk, Runner

PROMPT, DECODED, ROUNDS = 256, 32, 5


@dataclass(frozen=True)
class Speed:
    """Medians of several rounds, in which the models took turns."""

    prefill: float  # tokens/s of a prompt read in one pass
    decode: float  # tokens/s, one text, each token after all before it
    runner: str  # what computed: "kernels (avx512)", "torch (float32, cpu)"


def measure_speed(
    paths: Mapping[str, Path],
    prompt: Sequence[int],
    *,
    threads: int = 0,
    rounds: int = ROUNDS,
    tick: Callable[[float], None] = lambda done: None,
) -> dict[str, Speed]:
    """The speed of each model, by its name; all of them are in memory together.

    They take turns, so that what else the machine does hits all alike. A first round is not
    counted: it compiles and warms.

    Args:
        prompt: ids of some text; cut to what half of a model's context holds.
    """
    models = {name: open_quietly(path, threads) for name, path in paths.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    try:
        for turn in range(rounds + 1):
            for name, model in models.items():
                measured = _one(model, prompt)
                if turn:
                    times[name].append(measured)
            tick((turn + 1) / (rounds + 1))
        return {name: _speed(models[name].runner, rows) for name, rows in times.items()}
    finally:
        for model in models.values():
            model.close()


def open_quietly(path: Path, threads: int) -> LoadedModel:
    """A model on the engine that will run it, without a warning where that is torch: it is said in
    the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return load(path, threads=threads)


def _speed(runner: Runner, rows: Sequence[tuple[float, float]]) -> Speed:
    prefill, decode = (statistics.median(column) for column in zip(*rows, strict=True))
    return Speed(prefill, decode, runner.name)


def _one(model: LoadedModel, prompt: Sequence[int]) -> tuple[float, float]:
    """Prefill and decoding of one text, in tokens a second, greedy."""
    context = model.context_length
    ids = list(prompt[: max(1, min(PROMPT, context // 2))])
    steps = max(1, min(DECODED, context - len(ids)))
    past = model.runner.new_past(len(ids) + steps)
    begin = time.perf_counter()
    logits = model.runner.forward([Chunk(past, ids)])[0].logits
    middle = time.perf_counter()
    for _ in range(steps):
        token = int(np.argmax(logits[-1]))
        logits = model.runner.forward([Chunk(past, [token])])[0].logits
    end = time.perf_counter()
    return len(ids) / (middle - begin), steps / (end - middle)
