"""What going on from a model gains and loses: learning rates, replay, and new tokens.

    python benchmarks/transfer.py

A small model of plays is trained further on Python code, in several ways, each for the same steps.
The table is that of docs/transfer.md; it takes some minutes on two cores.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from penjing.core.events import Event
from penjing.data.readers import read_documents
from penjing.recipes.recipes import grow
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig, ScheduleConfig, StartConfig
from penjing.train.pretrain import pretrain

OLD, NEW = ("corpus:shakespeare", 600_000), ("corpus:stdlib", 150_000)  # characters of each

# name: (factor of the learning rates, share of replay, new tokens)
WAYS = {
    "as from scratch": (1.0, 0.0, 0),
    "half the rates": (0.5, 0.0, 0),
    "a quarter": (0.25, 0.0, 0),
    "a tenth": (0.1, 0.0, 0),
    "replay 0.1": (1.0, 0.1, 0),
    "replay 0.1, half the rates": (0.5, 0.1, 0),
    "replay 0.25, half the rates": (0.5, 0.25, 0),
    "500 new tokens, half the rates": (0.5, 0.0, 500),
    "500 new tokens, replay 0.1, half the rates": (0.5, 0.1, 500),
}


def text_file(folder: Path, name: str, source: str, size: int) -> str:
    text = "\n".join(document.text for document in read_documents([source]))[:size]
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def parent_settings(text: str, steps: int) -> PretrainConfig:
    config = grow(
        2,
        sources=(text,),
        tokenizer=TokenizerConfig(vocab_size=1024),
        context_length=64,
        steps=steps,
    )
    return replace(config, train=replace(config.train, threads=1, eval_every=0, sample_tokens=1))


def further(parent: PretrainConfig, folder: Path, new: str, steps: int, name: str) -> Any:
    """The rows of one way's "transfer" event."""
    factor, share, new_tokens = WAYS[name]
    rates = parent.train.optimizer
    optimizer = replace(rates, lr=rates.lr * factor, muon_lr=rates.muon_lr * factor)
    schedule = ScheduleConfig(warmup_steps=10, decay_fraction=0.6)
    replay = parent.data.sources if share else ()
    start = StartConfig(str(folder / "parent"), new_tokens=new_tokens, replay=replay)
    config = PretrainConfig(
        data=DataConfig((new,)),
        train=replace(parent.train, steps=steps, optimizer=optimizer, schedule=schedule),
        start=replace(start, replay_fraction=share) if share else start,
    )
    events: list[Event] = []
    pretrain(config, out=folder / name.replace(" ", "-"), listeners=[events.append])
    return next(event.data["rows"] for event in events if event.kind == "transfer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent-steps", type=int, default=250)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = text_file(folder, "old.txt", *OLD), text_file(folder, "new.txt", *NEW)
        parent = parent_settings(old, args.parent_steps)
        pretrain(parent, out=folder / "parent")
        print("| | code before | after | plays before | after |\n|---|---|---|---|---|")
        for way in args.ways:
            rows = further(parent, folder, new, args.steps, way)
            figures = [f"{row[when]:.3f}" for row in rows for when in ("before", "after")]
            print(f"| {way} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
