"""Named, complete run settings, each a function of one dial, the depth; all can be overridden.

In those of `grow`, the width (64 for every layer), the heads and the learning rate follow from the
depth. The steps are chosen for two CPU cores and a few minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from penjing.core.table import Table
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import (
    DataConfig,
    OptimizerConfig,
    PretrainConfig,
    ScheduleConfig,
    TrainConfig,
)


@dataclass(frozen=True)
class Recipe:
    """A name's settings: `make(depth)`, where None stands for `depth`."""

    summary: str
    depth: int
    make: Callable[[int], PretrainConfig]

    def __call__(self, depth: int | None = None) -> PretrainConfig:
        return self.make(self.depth if depth is None else depth)


def grow(
    depth: int,
    *,
    sources: tuple[str, ...],
    tokenizer: TokenizerConfig,
    context_length: int = 256,
    steps: int = 700,
    batch_size: int = 16,
    prompt: str = "",
) -> PretrainConfig:
    """The settings that all sizes share: a Qwen3 of `depth` layers, trained with Muon."""
    return PretrainConfig(
        data=DataConfig(sources=sources),
        tokenizer=tokenizer,
        model=ModelConfig(
            n_layer=depth,
            n_kv_head=depth // 2 if depth % 2 == 0 else 0,
            context_length=context_length,
        ),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            optimizer=OptimizerConfig(lr=0.006 * (4 / depth) ** 0.5, muon_lr=0.02, momentum=0.9),
            schedule=ScheduleConfig(warmup_steps=0, decay_fraction=0.6),
            init="zero",
            eval_every=max(1, steps // 5),
            save_every=max(1, steps // 5),
            sample_every=max(1, 2 * (steps // 5)),
            sample_prompt=prompt,
            sample_tokens=120,
        ),
    )


def shakespeare(depth: int) -> PretrainConfig:
    """38 plays by Shakespeare, 5.0 MB."""
    return grow(
        depth,
        sources=("corpus:shakespeare",),
        tokenizer=TokenizerConfig(vocab_size=4096),
        prompt="ROMEO:\n",
    )


def tang(depth: int) -> PretrainConfig:
    """Poems of the Tang; a character is a token, so that the model can count a line."""
    return grow(
        depth,
        sources=("corpus:tang",),
        tokenizer=TokenizerConfig(vocab_size=6144, han="char"),
        context_length=128,
        steps=600,
        batch_size=32,
    )


def stdlib(depth: int) -> PretrainConfig:
    """The source code of the running Python's own library."""
    return grow(
        depth,
        sources=("corpus:stdlib",),
        tokenizer=TokenizerConfig(vocab_size=4096),
        prompt="class",
    )


def text(depth: int) -> PretrainConfig:
    """The user's own files: name them with data.sources."""
    return grow(depth, sources=(), tokenizer=TokenizerConfig(vocab_size=2048))


def tiny_char(depth: int) -> PretrainConfig:
    """Characters, in seconds: the smallest model that writes words.

    It runs the race of benchmarks/nanogpt_race.py. Its settings were chosen by losses on the
    validation split of that race, with seeds 0 to 2.
    """
    return PretrainConfig(
        data=DataConfig(sources=("corpus:shakespeare",)),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(
            n_layer=depth,
            n_embd=128,
            n_head=2,
            n_kv_head=1,
            head_dim=64,
            n_inner=256,
            context_length=64,
            rope_theta=1000.0,
            tie_embeddings=False,
        ),
        train=TrainConfig(
            steps=115,
            batch_size=32,
            short_contexts=(16, 32),
            short_fraction=0.5,
            optimizer=OptimizerConfig(lr=0.01, muon_lr=0.024, momentum=0.8, grad_clip=0.0),
            schedule=ScheduleConfig(warmup_steps=0, decay_fraction=0.45),
            init="zero",
            eval_every=0,
        ),
    )


def shakespeare_char(depth: int) -> PretrainConfig:
    """Characters, in minutes: the loss that nanoGPT's recipe of this kind reaches on an A100.

    It runs benchmarks/shakespeare_char.py, on one file that is cut at exactly 90 %:
    `penjing pretrain shakespeare-char --data.sources input.txt --data.exact-split`. Its settings
    were chosen by losses on the validation split of that file, with seed 0 in short runs, and the
    depth with seeds 0 to 2.
    """
    return PretrainConfig(
        data=DataConfig(sources=("corpus:shakespeare",), validation_fraction=0.1),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(
            n_layer=depth,
            n_embd=256,
            n_head=4,
            n_kv_head=2,
            head_dim=64,
            n_inner=640,
            context_length=256,
            rope_theta=1000.0,
            tie_embeddings=False,
        ),
        train=TrainConfig(
            steps=700,
            batch_size=16,
            short_contexts=(32, 64, 128),
            short_fraction=0.75,
            optimizer=OptimizerConfig(
                lr=0.005, muon_lr=0.02, weight_decay=0.1, momentum=0.9, grad_clip=0.0
            ),
            schedule=ScheduleConfig(warmup_steps=10, decay_fraction=0.6),
            init="zero",
            eval_every=0,
            sample_prompt="ROMEO:\n",
        ),
    )


RECIPES: Table[Recipe] = Table(
    "recipe",
    {
        "shakespeare": Recipe("38 plays, in English", 4, shakespeare),
        "tang": Recipe("poems of the Tang, in Chinese", 4, tang),
        "stdlib": Recipe("Python's own source code, no network needed", 4, stdlib),
        "text": Recipe("your own files: --data.sources FILE ...", 4, text),
        "tiny-char": Recipe("characters, in seconds", 2, tiny_char),
        "shakespeare-char": Recipe("characters, in minutes, as nanoGPT's", 4, shakespeare_char),
    },
)
