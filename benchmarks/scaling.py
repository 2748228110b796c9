"""How the loss falls with size and tokens: a grid of our own small runs, and a law fitted to them.

    python benchmarks/scaling.py --out benchmarks/results/scaling.json

Each point is a whole run of a recipe through the public API, in a process of its own, from the
first step to the end of its schedule: the recipe's model and learning rate at some depth, with
fewer steps. The law is that of Hoffmann et al. 2022 (arXiv 2203.15556),

    L(N, D) = E + A / N^a + B / D^b

with N the parameters and D the tokens trained on. L is the validation loss in bits per byte divided
by the bits per byte of the bigram baseline on the same text (`penjing.evaluate.baselines`): texts
and tokenizers differ in how many bits a byte costs, and this carries over between them. The fit is
theirs too: a Huber loss on the logarithms. Finished points are kept in the file and not run again.
The losses do not depend on the machine's speed. `penjing.train.scaling` holds the constants.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import describe_machine

CORPORA = ("stdlib", "shakespeare", "tang")  # the first needs no network
GRID = {1: (60, 120, 240, 480), 2: (60, 120, 240, 480), 3: (120, 240), 4: (120, 240)}
FULL_RUNS = {("stdlib", 4): 700, ("tang", 4): 600}  # recipes as they stand: where the range ends
UNIT = "bigram"  # the baseline that a loss is divided by
HUBER = 1e-3  # of Hoffmann et al., on logarithms: above it an error counts as its magnitude


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the results, as JSON")
    parser.add_argument("--corpora", nargs="+", default=CORPORA)
    parser.add_argument("--depths", nargs="+", type=int, default=list(GRID))
    parser.add_argument("--steps", nargs="+", type=int, help="these instead of the grid's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fit-only", action="store_true", help="run nothing, fit what is there")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        corpus, depth, steps = args.child
        print(json.dumps(run_point(corpus, int(depth), int(steps), args.threads)))
        return
    rows = json.loads(args.out.read_text())["runs"] if args.out.exists() else []
    if not args.fit_only:
        for point in points(args.corpora, args.depths, args.steps):
            if point not in [key(row) for row in rows]:
                rows.append(child(point, args.threads))
                write(args.out, rows)
                print(line(rows[-1]), flush=True)
    report(write(args.out, rows))


def points(
    corpora: Sequence[str], depths: Sequence[int], steps: Sequence[int] | None
) -> list[tuple[str, int, int]]:
    """(corpus, depth, steps) of all runs, the cheapest first."""
    found = {(c, d, s) for c in corpora for d in depths for s in steps or GRID[d]}
    if steps is None:
        found |= {(c, d, s) for (c, d), s in FULL_RUNS.items() if c in corpora and d in depths}
    return sorted(found, key=lambda point: (point[1] ** 1.5 * point[2], point))


def key(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["corpus"], row["depth"], row["steps"]


def child(point: tuple[str, int, int], threads: int) -> dict[str, Any]:
    """Run this file again as a process of its own, and read its last line."""
    command = [sys.executable, __file__, "--out", os.devnull, "--threads", str(threads)]
    command += ["--child", *map(str, point)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def run_point(corpus: str, depth: int, steps: int, threads: int) -> dict[str, Any]:
    """One run, judged by the whole validation split."""
    from dataclasses import replace

    import penjing

    config = penjing.recipe(corpus, depth)
    train = replace(
        config.train,
        steps=steps,
        threads=threads,
        eval_every=0,
        sample_every=0,
        save_every=steps,
        sample_tokens=1,
    )
    events: dict[str, Any] = {}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = penjing.pretrain(
            replace(config, train=train),
            out=Path(folder) / "run",
            listeners=[lambda event: events.update({event.kind: event.data})],
        )
    model, start = events["model"], events["start"]
    return {
        "corpus": corpus,
        "depth": depth,
        "steps": steps,
        "parameters": model["parameters"],
        "embedding": model["vocab_size"] * model["n_embd"],
        "tokens": steps * start["tokens_per_step"],
        "epochs": start["epochs"],
        "bytes_per_token": start["bytes_per_token"],
        "bits_per_byte": run.figures["bits_per_byte"],
        "baselines": dict(start["baselines"]),
        "seconds": time.perf_counter() - begin,
    }


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['corpus']:12} depth {row['depth']}, {row['parameters']:>9,} parameters, "
        f"{row['tokens']:>9,} tokens: {row['bits_per_byte']:.3f} bits per byte, "
        f"{ratio(row):.3f} of the {UNIT} ({row['seconds']:.0f} s)"
    )


def ratio(row: dict[str, Any]) -> float:
    """The loss in the law's unit."""
    return row["bits_per_byte"] / row["baselines"][UNIT]


def write(out: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All that is known so far, with the fit if there is enough for one."""
    result: dict[str, Any] = {"machine": describe_machine(), "unit": UNIT, "runs": rows}
    if len(rows) > 5:
        result["fit"] = fit(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    return result


def fit(rows: list[dict[str, Any]]) -> dict[str, float]:
    """E, A, a, B, b, and the spread of log L around the law; the best of several starts."""
    import numpy as np
    from scipy.optimize import least_squares

    n = np.log([row["parameters"] for row in rows])
    d = np.log([row["tokens"] for row in rows])
    wanted = np.log([ratio(row) for row in rows])

    def residuals(x: Any) -> Any:
        e, log_a, a, log_b, b = x
        law = np.logaddexp(np.logaddexp(log_a - a * n, log_b - b * d), e)
        return law - wanted

    starts = [
        (math.log(e), a * 13, a, b * 13, b)
        for e in (0.3, 0.6)
        for a in (0.2, 0.5)
        for b in (0.2, 0.5)
    ]
    limits = [(-7.0, 0.5), (-5.0, 30.0), (0.05, 2.0), (-5.0, 30.0), (0.05, 2.0)]
    found = [
        least_squares(
            residuals, x, loss="huber", f_scale=HUBER, bounds=tuple(zip(*limits, strict=True))
        )
        for x in starts
    ]
    best = min(found, key=lambda result: float(result.cost))
    e, log_a, a, log_b, b = (float(value) for value in best.x)
    return {
        "E": math.exp(e),
        "A": math.exp(log_a),
        "a": a,
        "B": math.exp(log_b),
        "b": b,
        "spread": float(np.std(residuals(best.x))),
        "largest": float(np.abs(residuals(best.x)).max()),
    }


def report(result: dict[str, Any]) -> None:
    """Print the law and how far each corpus and size lies from it."""
    if "fit" not in result:
        print(f"{len(result['runs'])} runs are too few for a fit.")
        return
    law = result["fit"]
    print(
        "L = {E:.3f} + {A:.4g} / N^{a:.3f} + {B:.4g} / D^{b:.3f}".format(**law)
        + f" of the {UNIT} baseline, from {len(result['runs'])} runs; spread {law['spread']:.1%}, "
        f"farthest {law['largest']:.1%}"
    )
    groups = defaultdict(list)
    for row in result["runs"]:
        error = math.log(ratio(row) / predict(law, row["parameters"], row["tokens"]))
        groups[row["corpus"]].append(error)
        groups[f"depth {row['depth']}"].append(error)
    for name, errors in sorted(groups.items()):
        mean, farthest = sum(errors) / len(errors), max(map(abs, errors))
        print(f"  {name:12} {len(errors):3} runs, {mean:+.1%} on average, within {farthest:.1%}")


def predict(law: dict[str, float], parameters: int, tokens: int) -> float:
    return law["E"] + law["A"] / parameters ** law["a"] + law["B"] / tokens ** law["b"]


if __name__ == "__main__":
    main()
