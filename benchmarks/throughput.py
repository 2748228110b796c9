"""How fast a GPT of 10.65 million parameters is trained on this processor.

    python benchmarks/throughput.py

The model is that of nanoGPT's character recipe: 6 layers of width 384, 6 heads, windows of 256, 16
of them a step, 65 characters. Ours is the family gpt2 in our own training loop, as it stands (bf16
weights with float32 masters where the processor is fast at bf16). Beside it stands a plain model in
eager torch, written below as nanoGPT writes it, with torch's own AdamW (fused): in float32, and
wholly in bf16, each with attention as torch's fused kernel and written out; what counts is the
faster of the two.

They take turns in one process, a few steps each, for several rounds; the figures are medians over
all rounds. MFU is the share of the arithmetic of a step (6 FLOPs for each weight and token, and
attention's products without credit for the causal half) in what this machine's fastest large matrix
product would do in that time. It passes if ours makes at least 1.0 times the tokens per second of
plain bf16 and 2.5 times those of plain float32.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from machine import describe_machine
from penjing.core.events import Event
from penjing.data.batches import Batch
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.runtime import default_threads, fast_bfloat16, keep_freed_memory
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.flops import flops_per_token, matmul_peak
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.progress import Hooks

RESULTS = Path(__file__).parent / "results" / "throughput.json"
NEEDED = {"plain bf16": 1.0, "plain float32": 2.5}
WARM_UP = 2  # first steps of each turn, which do not count

Steps = Callable[[int], list[float]]  # so many steps -> the seconds of each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="in each turn")
    parser.add_argument("--layers", type=int, default=6, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    args = parser.parse_args()
    torch.set_num_threads(default_threads())
    keep_freed_memory()
    config = ModelConfig(
        family="gpt2", vocab_size=65, n_layer=args.layers, n_embd=384, n_head=6, context_length=256
    ).resolve()
    result = measure(config, batch_size=16, rounds=args.rounds, steps=args.steps)
    for name, row in result["runs"].items():
        print(f"{name:28s} {row['tokens_per_second']:8.0f} tokens/s  MFU {row['mfu']:.0%}")
    print(", ".join(f"{ratio:.2f} x {name}" for name, ratio in result["ratios"].items()))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if result["passed"] else 1)


def measure(config: ModelConfig, *, batch_size: int, rounds: int, steps: int) -> dict[str, Any]:
    """Each contestant's tokens per second, and ours as a multiple of the others."""
    ids = torch.randint(
        config.vocab_size,
        (batch_size, config.context_length + 1),
        generator=torch.Generator().manual_seed(0),
    )
    batch = Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
    half = torch.bfloat16 if fast_bfloat16(torch.device("cpu")) else torch.float32
    contestants: dict[str, Steps] = {
        "ours": ours(config, batch, half),
        "plain float32": plain(config, batch, torch.float32, fused=True),
        "plain float32, written out": plain(config, batch, torch.float32, fused=False),
        "plain bf16": plain(config, batch, torch.bfloat16, fused=True),
        "plain bf16, written out": plain(config, batch, torch.bfloat16, fused=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, steps_of in contestants.items():
            seconds[name] += steps_of(steps + WARM_UP)[WARM_UP:]
    peak = matmul_peak("cpu", half)
    flops = flops_per_token(config, config.context_length)
    runs = {}
    for name, times in seconds.items():
        rate = batch.targets.numel() / statistics.median(times)
        runs[name] = {
            "tokens_per_second": rate,
            "step_seconds": statistics.median(times),
            "mfu": rate * flops / peak,
        }
    return judge(runs) | {
        "parameters": build_model(config).n_parameters(),
        "tokens_per_step": batch.targets.numel(),
        "flops_per_token": flops,
        "peak_flops": peak,
        "machine": describe_machine(),
    }


def judge(runs: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Ours against the faster form of each plain model."""
    ratios = {}
    for name in NEEDED:
        rates = [row["tokens_per_second"] for key, row in runs.items() if key.startswith(name)]
        ratios[name] = runs["ours"]["tokens_per_second"] / max(rates)
    passed = all(ratios[name] >= least for name, least in NEEDED.items())
    return {"runs": runs, "ratios": ratios, "passed": passed}


class Same(NextToken):
    """The next token, of the same windows in each step."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def batch(self, step: int) -> Batch:
        return self._batch


def ours(config: ModelConfig, batch: Batch, dtype: torch.dtype) -> Steps:
    """The family in our own loop."""
    model = build_model(config).to(dtype)

    def steps(count: int) -> list[float]:
        told: list[float] = []  # seconds of training so far, after each step

        def listen(event: Event) -> None:
            if event.kind == "step":
                told.append(event.data["seconds"])

        settings = TrainConfig(
            steps=count, log_every=1, optimizer=OptimizerConfig(name="adamw", lr=1e-3)
        )
        train(model, Same(batch), settings, Hooks(tell=listen))
        return [after - before for before, after in zip([0.0, *told], told, strict=False)]

    return steps


def plain(config: ModelConfig, batch: Batch, dtype: torch.dtype, *, fused: bool) -> Steps:
    """nanoGPT's loop around nanoGPT's model."""
    torch.manual_seed(0)
    model = PlainGPT(config, fused=fused).to(dtype)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True
    )

    def step() -> float:
        begin = time.perf_counter()
        logits = model(batch.inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        return time.perf_counter() - begin

    return lambda count: [step() for _ in range(count)]


class PlainBlock(nn.Module):
    """A block of GPT-2 in a few lines of eager torch."""

    def __init__(self, config: ModelConfig, *, fused: bool) -> None:
        super().__init__()
        width, self.heads, self.fused = config.n_embd, config.n_head, fused
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.output(self.attend(self.qkv(self.norm1(x))))
        y: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return y

    def attend(self, qkv: Tensor) -> Tensor:
        batch, length, _ = qkv.shape
        q, k, v = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            future = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = (q @ k.mT) * q.size(-1) ** -0.5
            y = F.softmax(scores.masked_fill(future, -torch.inf), dim=-1) @ v
        return y.transpose(1, 2).reshape(batch, length, -1)


class PlainGPT(nn.Module):
    """nanoGPT's model: learned positions, a head tied to the embeddings, the exact GELU."""

    def __init__(self, config: ModelConfig, *, fused: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position = nn.Embedding(config.context_length, config.n_embd)
        blocks = (PlainBlock(config, fused=fused) for _ in range(config.n_layer))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(config.n_embd)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.position.weight[: ids.size(1)]
        return F.linear(self.norm(self.blocks(x)), self.embedding.weight)


if __name__ == "__main__":
    main()
