"""The race with nanoGPT: tinyshakespeare by characters, to an equal validation loss.

    python benchmarks/nanogpt_race.py --text input.txt --nanogpt nanoGPT --seeds 5

Both train on the first 90 % of the characters; both are judged by the full validation split, in
windows of 64 that do not overlap (theirs leave out a last, incomplete window; ours also counts the
end token). nanoGPT runs with the settings that its README gives for a CPU (4 layers of width 128,
block 64, batch 12, 2,000 steps); without `--nanogpt`, transformers' GPT-2 of that size is trained
with those settings in a plain loop. We run the recipe `tiny-char` through the public API, once for
each of our seeds, in turn with nanoGPT, which keeps its own. Each run is a process of its own, with
the same environment.

Time is that of the training steps, batches included, without imports, evaluation and saving, for
both alike; the whole process is given beside it. It passes if every seed reaches the loss that
nanoGPT's README gives, in at most a tenth of the other's time in the same pair, with a model that
transformers loads as Qwen3. (On the full split nanoGPT's own model stays a little above that loss.)
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

TARGET_LOSS = 1.88  # what nanoGPT's README gives for these settings, estimated on 20 batches
NANOGPT_SETTINGS = [
    *("--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=1"),
    *("--block_size=64", "--batch_size=12", "--n_layer=4", "--n_head=4", "--n_embd=128"),
    *("--max_iters=2000", "--lr_decay_iters=2000", "--dropout=0.0"),
    "--eval_interval=2000",  # only before the first and after the last step
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, required=True, help="tinyshakespeare's input.txt")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where to write the results, as JSON")
    parser.add_argument("--child", choices=["penjing", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child == "penjing":
        print(json.dumps(run_penjing(args.text, args.seed, args.folder)))
    elif args.child == "transformers":
        print(json.dumps(run_transformers(args.text, args.seed)))
    else:
        race(args)


def race(args: argparse.Namespace) -> None:
    """Run the two in turn, and print each run and the ratio of the pairs."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # for both: idle threads sleep sooner
    other = "nanoGPT" if args.nanogpt else "transformers"
    rows = []
    for seed in range(args.seeds):
        ours = child("penjing", args.text, seed)
        theirs = (
            run_nanogpt(args.nanogpt, args.text)
            if args.nanogpt
            else child("transformers", args.text, seed)
        )
        ratio = theirs["train_seconds"] / ours["train_seconds"]
        rows.append({"seed": seed, "penjing": ours, other: theirs, "ratio": ratio})
        print(
            f"seed {seed}: penjing loss {ours['loss']:.4f} in {ours['train_seconds']:.2f} s "
            f"(process {ours['process_seconds']:.1f} s); {other} loss {theirs['loss']:.4f} in "
            f"{theirs['train_seconds']:.1f} s (process {theirs['process_seconds']:.1f} s); "
            f"ratio {ratio:.1f}",
            flush=True,
        )
    result = judge(rows)
    print(
        f"{result['passed']} of {len(rows)} seeds reach {TARGET_LOSS} in a tenth of the time. "
        f"Training time, {other} / penjing: median {result['median_ratio']:.1f}, "
        f"least {result['least_ratio']:.1f}."
    )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if result["passed"] == len(rows) else 1)


def judge(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The result of all pairs of runs."""
    ratios = [row["ratio"] for row in rows]
    passed = [
        row["penjing"]["loss"] <= TARGET_LOSS
        and row["penjing"]["architecture"] == "Qwen3ForCausalLM"
        and row["ratio"] >= 10
        for row in rows
    ]
    return {
        "machine": describe_machine(),
        "target_loss": TARGET_LOSS,
        "runs": rows,
        "passed": sum(passed),
        "median_ratio": statistics.median(ratios),
        "least_ratio": min(ratios),
    }


def child(name: str, text: Path, seed: int) -> dict[str, Any]:
    """Run this file again as a process of its own, and read its last line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", name, "--text", str(text)]
        command += ["--seed", str(seed), "--folder", folder]
        begin = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begin
    return json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": seconds}


def run_penjing(text: Path, seed: int, folder: Path) -> dict[str, Any]:
    """The recipe as it stands, through the public API; the result is read back by transformers."""
    from dataclasses import replace

    import penjing

    config = penjing.recipe("tiny-char")
    config = replace(
        config,
        data=replace(config.data, sources=(str(text),), validation_fraction=0.1, exact_split=True),
        train=replace(config.train, seed=seed),
    )
    run = penjing.pretrain(config, out=folder / "run")
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(run.checkpoint.path)
    return {
        "loss": run.figures["loss"],
        "train_seconds": run.figures["train_seconds"],
        "steps": run.figures["step"],
        "architecture": type(theirs).__name__,
        "parameters": theirs.num_parameters(),
    }


def run_nanogpt(checkout: Path, text: Path) -> dict[str, Any]:
    """nanoGPT's own train.py in a copy of its checkout; its loss on the full split."""
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "nanoGPT"
        shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git", "out*", "assets"))
        data = copy / "data" / "shakespeare_char"
        shutil.copyfile(text, data / "input.txt")
        subprocess.run([sys.executable, "prepare.py"], cwd=data, check=True, capture_output=True)
        command = [sys.executable, "train.py", "config/train_shakespeare_char.py"]
        begin = time.perf_counter()
        done = subprocess.run(
            [*command, *NANOGPT_SETTINGS], cwd=copy, check=True, stdout=subprocess.PIPE, text=True
        )
        process_seconds = time.perf_counter() - begin
        times = [float(t) / 1000 for t in re.findall(r"iter \d+: .* time ([\d.]+)ms", done.stdout)]
        typical = statistics.median(times)
        times[0] = times[-1] = typical  # those two hold an evaluation as well
        sys.path.insert(0, str(copy))
        from model import GPT, GPTConfig

        out = next(copy.glob("out*/ckpt.pt"))
        saved = torch.load(out, weights_only=True)
        model = GPT(GPTConfig(**saved["model_args"]))
        model.load_state_dict(saved["model"])
        ids = torch.from_numpy(np.fromfile(data / "val.bin", dtype=np.uint16).astype(np.int64))
        loss = full_loss(lambda x, y: model.eval()(x, y)[1], ids)
        sys.path.pop(0)
    return {
        "loss": loss,
        "train_seconds": sum(times),
        "steps": len(times),
        "process_seconds": process_seconds,
    }


def run_transformers(text: Path, seed: int, steps: int = 2001) -> dict[str, Any]:
    """nanoGPT's settings around transformers' GPT-2: the stand-in where there is no checkout."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1337 + seed)
    whole = text.read_text(encoding="utf-8")
    alphabet = {c: i for i, c in enumerate(sorted(set(whole)))}
    ids = torch.tensor([alphabet[c] for c in whole])
    train, validation = ids[: int(len(ids) * 0.9)], ids[int(len(ids) * 0.9) :]
    shape = {"vocab_size": len(alphabet), "n_embd": 128, "n_layer": 4, "n_head": 4}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    model = GPT2LMHeadModel(GPT2Config(**shape, n_positions=64, **off))
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    begin = time.perf_counter()
    for step in range(steps):
        if step < 100:
            lr = 1e-3 * (step + 1) / 101
        else:
            lr = 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / 1900)) * 9e-4
        for group in optimizer.param_groups:
            group["lr"] = lr
        starts = torch.randint(len(train) - 64, (12,))
        windows = train[starts[:, None] + torch.arange(65)]
        logits = model(windows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - begin

    def batch_loss(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x).logits.flatten(0, 1), y.flatten())

    model.eval()
    return {"loss": full_loss(batch_loss, validation), "train_seconds": seconds, "steps": steps}


def full_loss(batch_loss: Any, ids: Any) -> float:
    """The mean loss over all whole windows of 64, in order."""
    import torch

    count = (len(ids) - 1) // 64
    x, y = ids[: count * 64].view(count, 64), ids[1 : count * 64 + 1].view(count, 64)
    with torch.no_grad():
        parts = [
            batch_loss(x[i : i + 128], y[i : i + 128]).item() * len(x[i : i + 128])
            for i in range(0, count, 128)
        ]
    return sum(parts) / count


if __name__ == "__main__":
    main()
