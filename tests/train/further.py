"""Two texts, a small model of the first, and the settings to train it further on the second."""

from pathlib import Path
from typing import Any

from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from penjing.core.events import read_events
from penjing.train.config import (
    DataConfig,
    PretrainConfig,
    StartConfig,
    TrainConfig,
)
from penjing.train.run import Run

VERSE = "{} bottles: the moon looks in at the window,\nand the frost lies white on the ground.\n"
CODE = "def f{0}(x):\n    return self.window(x) * {0} + ground(x)  # bottles\n"


def training(**more: Any) -> TrainConfig:
    options = {"steps": 30, "batch_size": 8, "precision": "float32", "threads": 1, "eval_every": 0}
    return TrainConfig(**options | {"sample_tokens": 3} | more)


def further(folder: Path, start: dict[str, Any] | None = None, **train: Any) -> PretrainConfig:
    """Settings to train the parent further on code."""
    return PretrainConfig(
        data=DataConfig((str(folder / "code.txt"),), 0.1),
        train=training(**train),
        start=StartConfig(**{"model": str(folder / "parent")} | (start or {})),
    )


def told(run: Run, kind: str) -> dict[str, Any]:
    events = [e for e in read_events(run.path / "events.jsonl") if e.kind == kind]
    return dict(events[-1].data)


def table(run: Run) -> dict[str, tuple[float, float]]:
    """The "transfer" event's rows: new and general -> before and after."""
    rows = told(run, "transfer")["rows"]
    return {row["text"].partition(":")[0]: (row["before"], row["after"]) for row in rows}


def gpt2(vocab_size: int) -> Any:
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 48}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, **sizes))


def llama(vocab_size: int) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 48}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=vocab_size, tie_word_embeddings=False, **sizes, **heads)
    )
