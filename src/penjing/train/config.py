"""The settings of a run. No torch here, so that the command line can show them at once."""

from dataclasses import dataclass, field, replace
from typing import Literal

from penjing.core.errors import ConfigError
from penjing.data.limits import MAX_VALIDATION_FRACTION
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig


@dataclass(frozen=True)
class DataConfig:
    """Which text, and how much of it is kept aside."""

    sources: tuple[str, ...] = ("corpus:shakespeare",)  # files, folders, "-", corpora; or shards
    validation_fraction: float = 0.05  # of the bytes, by whole documents
    exact_split: bool = False  # cut one document at exactly that fraction of its characters

    def check(self) -> None:
        """Raises ConfigError for values that cannot work."""
        if not self.sources:
            raise ConfigError("data.sources is empty: name files, a folder, or corpus:NAME.")
        if not 0 < self.validation_fraction <= MAX_VALIDATION_FRACTION:
            raise ConfigError(
                f"data.validation_fraction must be above 0 and at most {MAX_VALIDATION_FRACTION}, "
                f"got {self.validation_fraction}: a run is judged by text that it did not see."
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """Muon on the matrices and AdamW on the rest, or AdamW on all."""

    name: Literal["muon", "adamw"] = "muon"  # Muon has AdamW beside it
    lr: float = 0.004  # AdamW: embeddings, head and norms (or everything)
    muon_lr: float = 0.02  # Muon: the matrices inside the blocks
    weight_decay: float = 0.0  # of matrices, times the learning rate, each step
    beta1: float = 0.9  # of AdamW: how long gradients are remembered
    beta2: float = 0.95  # of AdamW: how long their squares are
    momentum: float = 0.95  # of Muon
    grad_clip: float = 1.0  # largest norm of all gradients together; 0: no limit


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over the run: up, level, down, all of it in straight lines."""

    warmup_steps: int = 10
    decay_fraction: float = 0.5  # the last part of the steps, in which the rate falls
    final_fraction: float = 0.0  # of the peak: where the fall ends, just after the last step


@dataclass(frozen=True)
class TrainConfig:
    """The one loop's settings, whatever the objective."""

    steps: int = 1000  # optimizer steps
    batch_size: int = 32  # sequences in one optimizer step
    micro_batch_size: int = 0  # sequences computed at once (gradient accumulation); 0: what fits
    short_contexts: tuple[int, ...] = ()  # shorter windows to begin with, such as 64 128
    short_fraction: float = 0.5  # of the steps, shared equally by those lengths
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    init: Literal["scaled", "zero"] = "scaled"  # of the matrices that write to the residual stream
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of weights; masters are float32
    compile: bool = False  # torch.compile: takes a minute at first, pays on a GPU and in long runs
    parallel: Literal["ddp", "fsdp"] = "ddp"  # under torchrun: whole models, or one in shards
    device: str = "auto"  # a GPU if there is one, else the CPU
    threads: int = 0  # CPU threads; 0: as many as there are processors
    seed: int = 0  # of weights, batches, dropout and samples
    log_every: int = 10  # steps between two "step" events
    eval_every: int = 200  # steps between two passes over the validation split; 0: at the end
    sample_every: int = 0  # steps between two samples; 0: at the end
    save_every: int = 0  # steps between two checkpoints; 0: by itself, in under 1 % of the time
    keep: int = 2  # newest checkpoints that are kept, beside the best
    on_nonfinite: Literal["stop", "skip", "rollback"] = "stop"  # when a loss is no longer a number
    health_every: int = 0  # steps between two looks at each layer; 0: with each evaluation
    sample_prompt: str = ""  # what a sample continues
    sample_tokens: int = 100  # length of a sample

    def check(self) -> None:
        """Raises ConfigError for values that cannot work."""
        for name, (low, high) in _RANGES.items():
            value = self
            for part in name.split("."):
                value = getattr(value, part)
            if not low <= value <= high:  # type: ignore[operator]
                raise ConfigError(f"train.{name} must be from {low:g} to {high:g}, got {value}.")
        if self.on_nonfinite == "rollback" and not self.save_every:
            raise ConfigError(
                "train.on_nonfinite = rollback needs train.save_every: to which steps it may go "
                "back must not depend on the clock."
            )
        if any(length < 1 for length in self.short_contexts):
            raise ConfigError(
                f"train.short_contexts must be at least 1, got {self.short_contexts}."
            )


_TINY = 1e-12  # above 0
_BELOW_ONE = 1 - 1e-12
_RANGES = {
    "steps": (1, 1e12),
    "batch_size": (1, 1e9),
    "micro_batch_size": (0, 1e9),
    "short_fraction": (0, _BELOW_ONE),
    "optimizer.lr": (_TINY, 10),
    "optimizer.muon_lr": (_TINY, 10),
    "optimizer.weight_decay": (0, 10),
    "optimizer.beta1": (0, _BELOW_ONE),
    "optimizer.beta2": (0, _BELOW_ONE),
    "optimizer.momentum": (0, _BELOW_ONE),
    "optimizer.grad_clip": (0, 1e12),
    "schedule.warmup_steps": (0, 1e12),
    "schedule.decay_fraction": (0, 1),
    "schedule.final_fraction": (0, 1),
    "threads": (0, 1024),
    "seed": (0, 2**63 - 2),
    "log_every": (1, 1e12),
    "eval_every": (0, 1e12),
    "sample_every": (0, 1e12),
    "save_every": (0, 1e12),
    "keep": (1, 1e6),
    "health_every": (0, 1e12),
    "sample_tokens": (1, 1e9),
}


@dataclass(frozen=True)
class StartConfig:
    """A model to go on from, instead of random weights."""

    model: str = ""  # a run, a model directory, a GGUF file or a package model; empty: from scratch
    context_length: int = 0  # another one than the model's; 0: the model's
    new_tokens: int = 0  # how many the tokenizer learns from the new text
    replay: tuple[str, ...] = ()  # text of the kind that it knows already, mixed in
    replay_fraction: float = 0.1  # of the tokens of each step; 0: the replay text is only measured

    def check(self) -> None:
        """Raises ConfigError for values that cannot work."""
        if not self.model and self != StartConfig():
            raise ConfigError(
                "The settings start.* belong to a model to go on from: name one with start.model "
                "(--from)."
            )
        for name in ("context_length", "new_tokens"):
            if getattr(self, name) < 0:
                raise ConfigError(f"start.{name} must be at least 0, got {getattr(self, name)}.")
        if not 0 <= self.replay_fraction < 1:
            raise ConfigError(
                f"start.replay_fraction must be from 0 to below 1, got {self.replay_fraction}."
            )
        if self.replay_fraction != StartConfig.replay_fraction and not self.replay:
            raise ConfigError("start.replay_fraction needs start.replay: which text to mix in.")


@dataclass(frozen=True)
class PretrainConfig:
    """A complete run: text -> tokenizer -> model."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    start: StartConfig = field(default_factory=StartConfig)

    def check(self) -> None:
        """Raises ConfigError for a value out of its range, and sizes that do not fit together."""
        self.data.check()
        self.train.check()
        self.start.check()
        replace(self.model, vocab_size=self.model.vocab_size or 1).resolve()
