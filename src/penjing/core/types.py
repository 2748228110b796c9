"""The small types that go everywhere and need nothing but the standard library."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from penjing.core.errors import GenerationError


@dataclass(frozen=True)
class Document:
    """One text that belongs together: a play, a poem, a file, a line of JSON."""

    text: str
    source: str  # where it came from, such as "plays/hamlet.md" or "data.jsonl:17"


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen. Every default leaves the model's distribution alone.

    Raises:
        GenerationError: a value is out of its range.
    """

    temperature: float = 1.0  # divides the logits; 0 is greedy
    top_k: int = 0  # keep the k likeliest tokens; 0 keeps all
    top_p: float = 1.0  # keep the smallest set whose probability reaches p (nucleus)
    min_p: float = 0.0  # drop tokens below min_p times the likeliest one's probability
    repetition_penalty: float = (
        1.0  # divides (or multiplies, if negative) the logits of seen tokens
    )
    presence_penalty: float = 0.0  # subtracted once from the logit of each generated token
    frequency_penalty: float = 0.0  # subtracted for each time that a token was generated
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token id -> added to its logit
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()  # generation ends before any of these strings
    seed: int | None = None  # the same seed gives the same text
    logprobs: int = 0  # how many of the likeliest candidates each step reports
    trace: bool = False  # record what each sampler step kept and removed

    def __post_init__(self) -> None:
        def check(name: str, good: bool, rule: str) -> None:
            if not good:
                raise GenerationError(f"{name} must be {rule}, got {getattr(self, name)!r}.")

        finite = all(
            math.isfinite(v)
            for v in (self.presence_penalty, self.frequency_penalty, *self.logit_bias.values())
        )
        check("temperature", 0 <= self.temperature < math.inf, "a finite number from 0 up")
        check("top_k", self.top_k >= 0, "0 (off) or more")
        check("top_p", 0 < self.top_p <= 1, "above 0 and at most 1")
        check("min_p", 0 <= self.min_p < 1, "from 0 to below 1")
        check("repetition_penalty", 0 < self.repetition_penalty < math.inf, "above 0 and finite")
        check("max_new_tokens", self.max_new_tokens >= 1, "at least 1")
        check("logprobs", self.logprobs >= 0, "0 or more")
        check(
            "stop",
            not isinstance(self.stop, str) and all(self.stop),
            "a tuple of strings that are not empty",
        )
        if not finite:
            raise GenerationError("Penalties and logit biases must be finite numbers.")


@dataclass(frozen=True)
class Candidate:
    """One token that could have been chosen."""

    id: int
    text: str  # as shown: bytes that are half a character appear as \\xE4
    logprob: float  # natural logarithm of its probability


@dataclass(frozen=True)
class FilterRecord:
    """What one sampler step did to the candidates."""

    step: str  # the step's name in the table, such as "top_p"
    kept: int  # candidates that are still possible after it
    removed: tuple[Candidate, ...]  # the likeliest of those it removed, as they stood before it
    top: tuple[Candidate, ...]  # the likeliest after it, renormalised


FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class TokenStep:
    """One step of generation, as the terminal, the API, the page and the tests see it.

    `text` is what became certain with this token: it may be empty while a character is
    incomplete or while a stop string may be on its way, and it never holds half a character.
    """

    index: int  # 0 for the first new token
    id: int
    text: str
    logprob: float  # of the chosen token under the model's own distribution (before sampling steps)
    candidates: tuple[Candidate, ...] = ()  # the likeliest under the model, when logprobs > 0
    trace: tuple[FilterRecord, ...] = ()  # one record a sampler step, when trace is on
    finish_reason: FinishReason | None = None  # set on the last step
