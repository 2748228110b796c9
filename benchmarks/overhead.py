"""What a training step costs beside the training: `python benchmarks/overhead.py`.

The recipe `shakespeare-char` is run for some steps through the public API, with all that the
command line has: the log on disk, the live line on a terminal (drawn into nothing), progress, and
the reader of windows. The work of a step is what lies between the start of its forward pass and the
end of the optimizer's update; everything else from one step to the next is overhead. It passes if
that is under 1 % of the step. Evaluation, samples and checkpoints are no part of either.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

import penjing
from machine import describe_machine
from penjing.cli.progress import Progress
from penjing.train.gradients import Gradients
from penjing.train.objectives import NextToken

RESULTS = Path(__file__).parent / "results" / "overhead.json"
MOST = 0.01  # of a step
WORDS = "the quick brown fox jumps over the lazy dog and runs away from all of us\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, help="what to train on; any text will do")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--depth", type=int, help="layers, if not the recipe's")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = args.text or Path(folder) / "words.txt"
        if args.text is None:
            text.write_text("".join(WORDS[i % 60 :] for i in range(10_000)), encoding="utf-8")
        result = measure(text, Path(folder) / "run", args.steps, args.depth)
    print(
        f"{result['overhead_seconds'] * 1e3:.2f} ms of {result['step_seconds'] * 1e3:.0f} ms a step"
        f" are overhead: {result['overhead']:.2%}."
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if result["passed"] else 1)


def measure(text: Path, out: Path, steps: int, depth: int | None) -> dict[str, Any]:
    """Train, and take the time of each step's work and of what lies between."""
    config = penjing.recipe("shakespeare-char", depth)
    config = replace(
        config,
        data=replace(config.data, sources=(str(text),), exact_split=True),
        train=replace(config.train, steps=steps, save_every=steps, sample_tokens=1),
    )
    begins: list[float] = []
    ends: list[float] = []
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nothing,
        Progress(Console(file=nothing, force_terminal=True)) as screen,
        stamped(begins, ends),
    ):
        penjing.pretrain(config, out=out, listeners=[screen])
    begins, ends = begins[-steps:], ends[-steps:]  # those before were the forecast's probe
    return judge(begins, ends) | {"steps": steps, "machine": describe_machine()}


def judge(begins: list[float], ends: list[float]) -> dict[str, Any]:
    """The overhead as a share of a step, from when the work of each began and ended.

    The means, so that what is done at every tenth step only counts too; the first two steps are
    left out, since the first calls of everything are slow.
    """
    between = [begin - end for begin, end in zip(begins[1:], ends, strict=False)][2:]
    work = [end - begin for begin, end in zip(begins, ends, strict=True)][2:]
    overhead = statistics.mean(between)
    step = overhead + statistics.mean(work)
    return {
        "overhead_seconds": overhead,
        "step_seconds": step,
        "overhead": overhead / step,
        "passed": overhead / step < MOST,
    }


@contextmanager
def stamped(begins: list[float], ends: list[float]) -> Iterator[None]:
    """Note when each forward pass begins, and when the optimizer is done with the gradients."""
    loss, clear = NextToken.loss, Gradients.clear

    def begin(self: NextToken, *args: Any) -> Any:
        begins.append(time.perf_counter())
        return loss(self, *args)

    def end(self: Gradients) -> None:
        ends.append(time.perf_counter())
        clear(self)

    with mock.patch.object(NextToken, "loss", begin), mock.patch.object(Gradients, "clear", end):
        yield


if __name__ == "__main__":
    main()
