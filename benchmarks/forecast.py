"""Forecasts against what happened: memory and time of six runs of very different proportions.

    python benchmarks/forecast.py --out benchmarks/results/forecast.json

For each run, one process reads the text, makes the tokenizer and forecasts, as a dry run does;
another one trains. Compared are the peak of the second one's resident memory (VmHWM) with
`memory.total`, and its seconds from the "start" event to the "done" event, with evaluations, a
sample and checkpoints, with `seconds`. It passes if each memory is within 15 % and each time within
20 %. The text is 3 MB of Python's own library. On two quiet cores it takes about ten minutes; while
others work, only the memory means anything (`--memory-only`).
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import describe_machine

TEXT_BYTES = 3_000_000
MEMORY_WITHIN, TIME_WITHIN = 0.15, 0.20

# name: (what it is, settings of the tokenizer, of the model, of the training)
RUNS: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "tiny": (
        "Qwen3 form of 2 x 128, characters, windows of 16 to 64",
        {"kind": "char"},
        {"n_layer": 2, "n_embd": 128, "n_inner": 256, "context_length": 64},
        {"steps": 120, "batch_size": 32, "short_contexts": (16, 32)},
    ),
    "small": (
        "Qwen3 form of 4 x 256, 4,096 tokens",
        {"vocab_size": 4096},
        {"n_layer": 4, "n_kv_head": 2, "context_length": 256},
        {"steps": 60, "batch_size": 16},
    ),
    "parts": (
        "Qwen3 form of 6 x 384, characters, in micro-batches of 4",
        {"kind": "char"},
        {"n_layer": 6, "n_embd": 384, "context_length": 256},
        {"steps": 30, "batch_size": 16, "micro_batch_size": 4},
    ),
    "gpt2": (
        "GPT-2 form of 8 x 512, 8,192 tokens, AdamW",
        {"vocab_size": 8192},
        {"family": "gpt2", "n_layer": 8, "n_embd": 512, "context_length": 512},
        {"steps": 20, "batch_size": 8, "adamw": True},
    ),
    "lstm": (
        "LSTM of 2 x 384, 2,048 tokens",
        {"vocab_size": 2048},
        {"family": "lstm", "n_layer": 2, "n_embd": 384, "context_length": 128},
        {"steps": 40, "batch_size": 32},
    ),
    "long": (
        "Llama form of 4 x 256, windows of 2,048, float32",
        {"vocab_size": 2048},
        {"family": "llama", "n_layer": 4, "n_embd": 256, "context_length": 2048},
        {"steps": 20, "batch_size": 4, "precision": "float32"},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--memory-only", action="store_true", help="do not judge the times")
    parser.add_argument("--out", type=Path, help="where to write the results, as JSON")
    parser.add_argument("--child", choices=["forecast", "train"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        work = {"forecast": foretell, "train": train}[args.child]
        print(json.dumps(work(args.only[0], args.folder)))
        return
    rows = []
    print(f"{'run':6} {'parameters':>11} {'memory, MB':>22} {'seconds':>22}")
    for name in args.only:
        rows.append(compare(name))
        print(line(rows[-1]), flush=True)
    result = judge(rows, memory_only=args.memory_only)
    print(
        f"Memory within {MEMORY_WITHIN:.0%}: {result['memory_passed']} of {len(rows)}; "
        f"time within {TIME_WITHIN:.0%}: {result['time_passed']} of {len(rows)}."
    )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if result["passed"] else 1)


def compare(name: str) -> dict[str, Any]:
    """Forecast in one process, train in another."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text.txt").write_text(library_text(), encoding="utf-8")
        foretold, happened = (child(work, name, Path(folder)) for work in ("forecast", "train"))
    return {
        "name": name,
        "what": RUNS[name][0],
        "forecast": foretold,
        "memory": happened["memory"],
        "seconds": happened["seconds"],
        "train_seconds": happened["train_seconds"],
        "memory_error": foretold["memory"]["total"] / happened["memory"] - 1,
        "time_error": foretold["seconds"] / happened["seconds"] - 1,
    }


def judge(rows: list[dict[str, Any]], *, memory_only: bool) -> dict[str, Any]:
    """The result of all runs."""
    memory = sum(abs(row["memory_error"]) <= MEMORY_WITHIN for row in rows)
    seconds = sum(abs(row["time_error"]) <= TIME_WITHIN for row in rows)
    return {
        "machine": describe_machine(),
        "runs": rows,
        "memory_passed": memory,
        "time_passed": seconds,
        "passed": memory == len(rows) and (memory_only or seconds == len(rows)),
    }


def line(row: dict[str, Any]) -> str:
    foretold = row["forecast"]
    return (
        f"{row['name']:6} {foretold['parameters']['total']:11,} "
        f"{foretold['memory']['total'] / 1e6:7.0f} {row['memory'] / 1e6:7.0f} "
        f"{row['memory_error']:+6.1%} "
        f"{foretold['seconds']:7.1f} {row['seconds']:7.1f} {row['time_error']:+6.1%}"
        f"   forecasting took {foretold['took']:.1f} s"
    )


def child(work: str, name: str, folder: Path) -> dict[str, Any]:
    """Run this file again as a process of its own, and read its last line."""
    command = [sys.executable, __file__, "--child", work, "--only", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def foretell(name: str, folder: Path) -> dict[str, Any]:
    """What `penjing pretrain --dry-run` finds."""
    import torch

    from penjing.model.runtime import default_threads, keep_freed_memory
    from penjing.train.forecast.forecast import forecast
    from penjing.train.prepare import prepare
    from penjing.train.run import Journal

    settings = config(name, folder)
    prepared = prepare(settings, Journal(()))
    keep_freed_memory()
    torch.set_num_threads(default_threads())
    begin = time.perf_counter()
    found = forecast(settings, prepared, folder=folder)
    return found.event_data() | {"took": time.perf_counter() - begin}


def train(name: str, folder: Path) -> dict[str, Any]:
    """The run itself; its peak of resident memory, and its seconds from "start" to "done"."""
    import penjing
    from penjing.model.memory import peak_memory

    clock = {}

    def listen(event: Any) -> None:
        clock[event.kind] = time.perf_counter()

    run = penjing.pretrain(config(name, folder), out=folder / "run", listeners=[listen])
    return {
        "memory": peak_memory(),
        "seconds": clock["done"] - clock["start"],
        "train_seconds": run.figures["train_seconds"],
    }


def config(name: str, folder: Path) -> Any:
    """The settings of a run."""
    from penjing.model.config import ModelConfig
    from penjing.tokenizer.config import TokenizerConfig
    from penjing.train.config import DataConfig, OptimizerConfig, PretrainConfig, TrainConfig

    _, tokenizer, model, training = RUNS[name]
    training = dict(training)
    optimizer = OptimizerConfig(name="adamw" if training.pop("adamw", False) else "muon")
    steps = training["steps"]
    return PretrainConfig(
        data=DataConfig(sources=(str(folder / "text.txt"),)),
        tokenizer=TokenizerConfig(**tokenizer),
        model=ModelConfig(**model),
        train=replace(
            TrainConfig(**training),
            optimizer=optimizer,
            eval_every=steps // 2,
            sample_prompt="def ",
        ),
    )


def library_text() -> str:
    """The beginning of Python's own library, by name."""
    text, size = [], 0
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if size >= TEXT_BYTES:
            break
        text.append(file.read_text(encoding="utf-8"))
        size += len(text[-1].encode())
    return "\n".join(text)


if __name__ == "__main__":
    main()
