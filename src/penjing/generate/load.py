"""A model, ready to speak.

import penjing

model = penjing.load("tang")
for step in model.generate("床前明月光，"):
    print(step.text, end="")
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penjing.core.config import from_dict
from penjing.core.errors import CheckpointError, ConfigError, GenerationError
from penjing.core.events import Listener
from penjing.core.garbage import no_collecting
from penjing.core.types import SamplingParams
from penjing.formats.gguf.vocabulary import END_TOKENS
from penjing.formats.opening import open_checkpoint
from penjing.generate.engine.drafters import Drafter, DraftModel, Lookup
from penjing.generate.engine.engine import Engine
from penjing.generate.engine.generation import Generation
from penjing.generate.engine.request import Overflow
from penjing.generate.runners.choice import Kernels, choose_runner
from penjing.generate.runners.runner import Runner
from penjing.generate.single import generate
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.memory import free_memory
from penjing.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from penjing.model.base import LanguageModel

DEFAULTS = SamplingParams(temperature=0.8)  # small models ramble at 1
FROM_CHECKPOINT = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


class LoadedModel:
    """A model with its tokenizer and the sampling settings that its directory recommends."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        runner: Runner,
        defaults: SamplingParams,
        stop_ids: frozenset[int],
        context_length: int,
    ) -> None:
        self.checkpoint, self.runner, self.defaults = checkpoint, runner, defaults
        self.stop_ids = stop_ids  # tokens that end a text
        self.context_length = context_length

    @property
    def tokenizer(self) -> Tokenizer:
        return self.checkpoint.tokenizer

    @property
    def config(self) -> ModelConfig:
        return self.checkpoint.config

    @cached_property
    def model(self) -> "LanguageModel":
        """The torch module. Where kernels do the work it is loaded now, and takes memory of its
        own."""
        from penjing.generate.runners.torch_runner import TorchRunner

        if isinstance(self.runner, TorchRunner):
            return self.runner.model
        return self.checkpoint.load_model()

    def generate(
        self,
        prompt: str | Sequence[int] = "",
        *,
        on_overflow: Overflow = "stop",
        **sampling: Any,
    ) -> Generation:
        """Continue `prompt` step by step; `sampling` are names of `SamplingParams`.

        The recommended settings hold for what is not named. See `penjing.generate.single.generate`.

        Raises:
            ConfigError: an unknown name (it says which was meant) or a value of the wrong type.
            GenerationError: a value out of range, or a prompt that cannot be used.
        """
        return generate(
            self.runner,
            self.tokenizer,
            prompt,
            self.params(**sampling),
            on_overflow=on_overflow,
            stop_ids=self.stop_ids,
            context_length=self.context_length,
            drafter=Lookup() if self.runner.exact else None,
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

    def engine(
        self,
        *,
        speculate: bool | None = None,
        draft: "LoadedModel | None" = None,
        **settings: Any,
    ) -> Engine:
        """An engine for many texts, or for the turns of a conversation; `settings` are `Engine`'s.

        With `speculate` (by default where the runner is exact) it looks guesses up in the text;
        a `draft` model makes them instead. They are used only where that is faster, and never
        change a text.

        Raises:
            ConfigError: a setting that cannot be used; more memory than is free; speculation with a
                runner that is not exact; a draft model with another vocabulary.
        """
        drafter: Drafter | None = None
        if draft is not None:
            drafter = DraftModel(draft.runner, draft.tokenizer, self.tokenizer)
        elif self.runner.exact if speculate is None else speculate:
            drafter = Lookup()
        own: dict[str, Any] = {"context_length": self.context_length, "stop_ids": self.stop_ids}
        engine = Engine(self.runner, self.tokenizer, drafter=drafter, **own | settings)
        needed, free = engine.memory().cache_bytes, free_memory(self.runner.device)
        if free is not None and needed > free:
            raise ConfigError(
                f"The pasts of {engine.memory().cache_tokens} tokens may take {needed / 1e6:,.0f} "
                f"MB, but only {free / 1e6:,.0f} MB are free on {self.runner.device}. Set a "
                "smaller cache_tokens or cache_bytes, or a shorter context_length."
            )
        return engine

    def close(self) -> None:
        """Give back the threads that compute. The model speaks no more."""
        self.runner.close()


@no_collecting()
def load(
    path: str | Path,
    *,
    device: str = "cpu",
    dtype: "torch.dtype | None" = None,
    kernels: Kernels = "auto",
    threads: int = 0,
    context_length: int | None = None,
    listener: Listener | None = None,
) -> LoadedModel:
    """Open a model: a directory of ours or of Hugging Face's GPT-2, Llama and Qwen3 families, a
    GGUF file, or a package model by its name ("smollm2").

    On the CPU our kernels run it, on the weights as they are stored, if they know the machine and
    the family; else torch does, with a warning that says why. `kernels` "on" insists on them,
    "off" leaves them out. `device` is "cpu", "cuda" or "auto" (a GPU if there is one: torch looks
    for it where a driver's device file is there); a `dtype` asks for torch with that
    precision; None keeps the stored one. `threads` 0 takes all processors. `context_length` may
    bound the model's own, for less memory. The listener hears of a download.

    Sampling defaults come from generation_config.json where it has them (`do_sample` false is
    greedy), else temperature 0.8 and no filter.

    Raises:
        CheckpointError: it is missing, damaged, or of a form unknown to us.
        TokenizerError: its tokenizer is missing or damaged.
        ConfigError: there is no such device; the kernels cannot be used; a number out of range.
    """
    checkpoint = open_checkpoint(path, listener=listener)
    longest = checkpoint.config.context_length
    context = longest if context_length is None else context_length
    if not 1 <= context <= longest:
        raise ConfigError(
            f"context_length must be from 1 to {longest}, what {checkpoint.path} was made for; "
            f"got {context}."
        )
    defaults, stop_ids = _recommended(checkpoint.generation, where=checkpoint.path)
    stop_ids |= _ends(checkpoint.tokenizer, named=bool(stop_ids))
    runner = choose_runner(
        checkpoint,
        device=device,
        dtype=dtype,
        kernels=kernels,
        threads=threads,
    )
    return LoadedModel(checkpoint, runner, defaults, stop_ids, context)


def _ends(tokenizer: Tokenizer, *, named: bool) -> frozenset[int]:
    """Tokens that end a text: the tokenizer's end token, unless others were `named`, and those
    that end an answer in its chat template."""
    template = tokenizer.chat_template or ""
    ends = {tokenizer.id_of(token) for token in END_TOKENS if token in template}
    if not named:
        ends.add(tokenizer.eos_id)
    return frozenset(id for id in ends if id is not None)


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
