"""Tokens per second and MFU of GPT-2 124M on a GPU, against nanoGPT on the same card.

    python benchmarks/gpu_throughput.py --nanogpt nanoGPT --pairs 3

Both train GPT-2's shape (12 layers of width 768, 12 heads, context 1,024, vocabulary 50,304) on
random ids with AdamW, in bf16, with torch.compile and flash attention, 12 rows a step; nanoGPT with
its own bench.py, whose model has no biases. Ours is the loop that `penjing pretrain` runs, with
clipping and events. Runs alternate, each in a process of its own; the first steps, which hold the
compilation, do not count.

MFU is the share of the card's bf16 peak, by the same count of FLOPs for both (Chowdhery et al.
2022). The peak is that of a large product measured here, or the maker's figure, with `--peak`.
On a machine without a GPU, `--tiny` runs a small model through the same code.
"""

import argparse
import itertools
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import describe_machine

BATCH_SIZE = 12  # nanoGPT's
WARM_UP, STEPS = 10, 20  # steps, as in nanoGPT's bench.py


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--peak", type=float, help="the card's bf16 FLOP/s (default: measured)")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--tiny", action="store_true", help="a small model, to try the benchmark")
    parser.add_argument("--out", type=Path, help="where to write the results, as JSON")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps({"tokens_per_second": run_penjing(tiny=args.tiny, eager=args.eager)}))
    else:
        race(args)


def race(args: argparse.Namespace) -> None:
    """Run the two in turn, print each figure, and the ratio of the medians."""
    figures: dict[str, list[float]] = {"penjing": []}
    for _ in range(args.pairs):
        figures["penjing"].append(child(args))
        if args.nanogpt:
            speed = run_nanogpt(args.nanogpt, eager=args.eager)
            figures.setdefault("nanoGPT", []).append(speed)
        print(", ".join(f"{name} {runs[-1]:,.0f} tok/s" for name, runs in figures.items()))
    result = summary(figures, peak=args.peak, tiny=args.tiny)
    for name, row in result["figures"].items():
        print(f"{name}: median {row['tokens_per_second']:,.0f} tok/s, MFU {row['mfu']:.1%}")
    if "ratio" in result:
        print(f"penjing / nanoGPT: {result['ratio']:.2f}")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n")


def summary(figures: dict[str, list[float]], *, peak: float | None, tiny: bool) -> dict[str, Any]:
    """Medians and MFU of each."""
    import torch

    from penjing.train.flops import flops_per_token, matmul_peak

    device = "cuda" if torch.cuda.is_available() else "cpu"
    peak = peak or matmul_peak(device, torch.bfloat16)
    shape = model_config(tiny)
    flops = flops_per_token(shape, shape.context_length)
    medians = {name: statistics.median(runs) for name, runs in figures.items()}
    result: dict[str, Any] = {
        "machine": describe_machine(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "peak_flops": peak,
        "runs": figures,
        "figures": {
            name: {"tokens_per_second": speed, "mfu": speed * flops / peak}
            for name, speed in medians.items()
        },
    }
    if "nanoGPT" in medians:
        result["ratio"] = medians["penjing"] / medians["nanoGPT"]
    return result


def model_config(tiny: bool) -> Any:
    """GPT-2 124M, or a shape that any machine computes in a second."""
    from penjing.model.config import ModelConfig

    if tiny:
        small = {"vocab_size": 256, "n_layer": 2, "n_head": 2, "n_embd": 64, "context_length": 64}
        return ModelConfig(family="gpt2", **small).resolve()
    sizes = {"vocab_size": 50304, "n_layer": 12, "n_head": 12, "n_embd": 768}
    return ModelConfig(family="gpt2", context_length=1024, **sizes).resolve()


def child(args: argparse.Namespace) -> float:
    """Run this file again as a process of its own, and read its last line."""
    words = [word for word in ("tiny", "eager") if getattr(args, word)]
    command = [sys.executable, __file__, "--child", *(f"--{word}" for word in words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"])


def run_penjing(*, tiny: bool, eager: bool) -> float:
    """The median step of our loop after the first ones, in tokens per second."""
    import torch

    from penjing.core.events import Event
    from penjing.data.batches import Batch
    from penjing.model.families import build_model
    from penjing.model.runtime import pick_device
    from penjing.train.config import OptimizerConfig, TrainConfig
    from penjing.train.loop import train
    from penjing.train.objectives import NextToken
    from penjing.train.progress import Hooks

    shape, device = model_config(tiny), pick_device("auto")
    ids = torch.randint(shape.vocab_size, (BATCH_SIZE, shape.context_length + 1), device=device)

    class Fixed(NextToken):
        """Always the same ids, as nanoGPT's bench.py has them without data."""

        def __init__(self) -> None:
            self._batch = Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())

        def batch(self, step: int) -> Batch:
            return self._batch

    seconds: list[float] = []

    def note(event: Event) -> None:
        if event.kind == "step":
            seconds.append(event.data["seconds"])

    model = build_model(shape).to(device=device, dtype=torch.bfloat16)
    config = TrainConfig(
        steps=WARM_UP + STEPS,
        batch_size=BATCH_SIZE,
        log_every=1,
        compile=not eager,
        optimizer=OptimizerConfig(name="adamw", lr=1e-4, weight_decay=0.01),
    )
    train(model, Fixed(), config, Hooks(tell=note))
    steps = [after - before for before, after in itertools.pairwise(seconds)]
    return BATCH_SIZE * shape.context_length / statistics.median(steps[-STEPS:])


def run_nanogpt(checkout: Path, *, eager: bool) -> float:
    """nanoGPT's bench.py on random ids, in tokens per second."""
    command = [sys.executable, "bench.py", "--real_data=False", f"--compile={not eager}"]
    done = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True)
    return nanogpt_speed(done.stdout)


def nanogpt_speed(printed: str) -> float:
    """Tokens per second from what bench.py prints: "time per iteration: 123.4ms, MFU: 45.6%"."""
    found = re.findall(r"time per iteration: ([\d.]+)ms", printed)
    return BATCH_SIZE * 1024 / (float(found[-1]) / 1000)


if __name__ == "__main__":
    main()
