"""A model directory, ready to speak.

import penjing

model = penjing.load("tang")
for step in model.generate("床前明月光，"):
    print(step.text, end="")
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from penjing.core.config import from_dict
from penjing.core.errors import CheckpointError, ConfigError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine import Generation, Overflow, generate
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.runtime import pick_device
from penjing.tokenizer.tokenizer import Tokenizer

DEFAULTS = SamplingParams(temperature=0.8)  # small models ramble at 1
FROM_CHECKPOINT = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer and the sampling settings that its directory recommends."""

    checkpoint: Checkpoint
    model: LanguageModel
    defaults: SamplingParams
    stop_ids: frozenset[int]  # tokens that end a text

    @property
    def tokenizer(self) -> Tokenizer:
        return self.checkpoint.tokenizer

    @property
    def config(self) -> ModelConfig:
        return self.checkpoint.config

    def generate(
        self,
        prompt: str | Sequence[int] = "",
        *,
        on_overflow: Overflow = "stop",
        **sampling: Any,
    ) -> Generation:
        """Continue `prompt` step by step; `sampling` are names of `SamplingParams`.

        The recommended settings hold for what is not named. See `penjing.generate.engine.generate`.

        Raises:
            ConfigError: an unknown name (it says which was meant) or a value of the wrong type.
            GenerationError: a value out of range, or a prompt that cannot be used.
        """
        return generate(
            self.model,
            self.tokenizer,
            prompt,
            self.params(**sampling),
            on_overflow=on_overflow,
            stop_ids=self.stop_ids,
        )

    def complete(
        self,
        prompt: str | Sequence[int] = "",
        *,
        on_overflow: Overflow = "stop",
        **sampling: Any,
    ) -> str:
        """The whole continuation of `prompt` as one text, without the prompt."""
        steps = self.generate(prompt, on_overflow=on_overflow, **sampling)
        return "".join(step.text for step in steps)

    def params(self, **sampling: Any) -> SamplingParams:
        """The recommended settings with `sampling` on top; `stop` may be one text."""
        if isinstance(sampling.get("stop"), str):
            sampling["stop"] = (sampling["stop"],)
        return from_dict(SamplingParams, sampling, where="Sampling", base=self.defaults)


def load(path: str | Path, *, device: str = "cpu", dtype: torch.dtype | None = None) -> LoadedModel:
    """Open a model directory, one of ours or of Hugging Face's GPT-2, Llama and Qwen3 families.

    `device` is "cpu", "cuda" or "auto"; `dtype` None keeps the stored precision.
    Sampling defaults come from generation_config.json where it has them (`do_sample` false is
    greedy), else temperature 0.8 and no filter.

    Raises:
        CheckpointError: it is missing, damaged, or of a form unknown to us.
        TokenizerError: its tokenizer is missing or damaged.
        ConfigError: there is no such device.
    """
    checkpoint = Checkpoint.open(path)
    defaults, stop_ids = _recommended(checkpoint.generation, where=checkpoint.path)
    if not stop_ids and checkpoint.tokenizer.eos_id is not None:
        stop_ids = frozenset((checkpoint.tokenizer.eos_id,))
    model = checkpoint.load_model(device=pick_device(device), dtype=dtype)
    return LoadedModel(checkpoint, model, defaults, stop_ids)


def _recommended(
    generation: Mapping[str, Any], where: Path
) -> tuple[SamplingParams, frozenset[int]]:
    """Sampling settings and end tokens of a generation_config.json, which may name several."""
    named = {k: generation[k] for k in FROM_CHECKPOINT if generation.get(k) is not None}
    if generation.get("do_sample") is False:  # said in so many words: greedy
        named["temperature"] = 0.0
    ends = generation.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not all(isinstance(end, int) for end in ends):
        raise CheckpointError(f"{where / 'generation_config.json'}: eos_token_id is not an id.")
    try:
        return from_dict(SamplingParams, named, where="sampling", base=DEFAULTS), frozenset(ends)
    except (ConfigError, GenerationError) as error:
        raise CheckpointError(f"{where / 'generation_config.json'}: {error}") from error
