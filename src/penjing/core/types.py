"""The small types that go everywhere and need nothing but the standard library."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsIndex, get_args

from penjing.core.errors import GenerationError


@dataclass(frozen=True)
class Document:
    """One text that belongs together: a play, a poem, a file, a line of JSON."""

    text: str
    source: str  # where it came from, such as "plays/hamlet.md" or "data.jsonl:17"


StructureKind = Literal["json_schema", "json_object", "regex", "lark"]


@dataclass(frozen=True)
class Structure:
    """The form that a generated text must have; what it says is left to the model.

    Raises:
        GenerationError: an unknown kind, or a text that is missing or too much.
    """

    kind: StructureKind
    text: str = ""  # the JSON schema, the regular expression or the Lark grammar

    def __post_init__(self) -> None:
        if self.kind not in get_args(StructureKind):
            raise GenerationError(
                f"A structure's kind must be one of {', '.join(get_args(StructureKind))}, "
                f"got {self.kind!r}."
            )
        if not isinstance(self.text, str):
            raise GenerationError(f"A structure's text must be a string, got {self.text!r}.")
        _check_text("The structure", self.text)
        if (self.kind == "json_object") != (self.text == ""):
            needs = "no text: any JSON object" if self.kind == "json_object" else "its text"
            raise GenerationError(f"A structure of kind {self.kind!r} needs {needs}.")


@dataclass(frozen=True)
class SamplingParams:
    """How the next token is chosen. Every default leaves the model's distribution alone.

    docs/sampling.md explains each step; `penjing.generate.sampling.sampler` has their order.

    Raises:
        GenerationError: a value is out of its range or of a wrong type.
    """

    temperature: float = 1.0  # divides the logits; 0 is greedy
    top_k: int = 0  # keep the k likeliest tokens; 0 keeps all
    top_p: float = 1.0  # keep the smallest set whose probability reaches p (nucleus)
    min_p: float = 0.0  # drop tokens below min_p times the likeliest one's probability
    typical_p: float = 1.0  # keep the most typical tokens whose probability reaches p
    repetition_penalty: float = (
        1.0  # divides (or multiplies, if negative) the logits of seen tokens
    )
    presence_penalty: float = 0.0  # subtracted once from the logit of each generated token
    frequency_penalty: float = 0.0  # subtracted for each time that a token was generated
    penalty_window: int = 0  # these three look at so many last tokens; 0: at the whole text
    dry_multiplier: float = 0.0  # how strongly DRY keeps sequences from repeating; 0 is off
    dry_base: float = 1.75  # its penalty grows by this factor for each further repeated token
    dry_allowed_length: int = 2  # repeats shorter than this many tokens go free
    dry_window: int = 0  # DRY looks for repeats in so many last tokens; 0: in the whole text
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")  # no repeat reaches over these
    xtc_probability: float = 0.0  # how often XTC takes the top choices away; 0 is off
    xtc_threshold: float = 0.1  # a top choice has at least this probability; at most 0.5
    mirostat: Literal[0, 1, 2] = 0  # version of mirostat; 0 is off
    mirostat_tau: float = 5.0  # the surprise that it holds the text to, in bits per token
    mirostat_eta: float = 0.1  # how fast it corrects itself
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token id -> added to its logit
    structure: Structure | None = None  # the form that the text must have
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()  # generation ends before any of these strings
    seed: int | None = None  # the same seed gives the same text; a 64-bit number
    logprobs: int = 0  # how many of the likeliest candidates each step reports
    logprob_ids: tuple[int, ...] = ()  # tokens whose log-probabilities each step reports
    trace: bool = False  # record what each sampler step kept and removed

    def __post_init__(self) -> None:
        for name, (good, rule) in _RULES.items():
            value = getattr(self, name)
            try:
                fits = good(value)
            except (TypeError, ValueError, OverflowError):  # not even comparable
                fits = False
            if not fits:
                raise GenerationError(f"{name} must be {rule}, got {value!r}.")
        for name in ("stop", "dry_sequence_breakers"):
            for text in getattr(self, name):
                _check_text(f"In {name}, the string", text)


def _check_text(what: str, text: str) -> None:
    """Refuse what no text can hold.

    Raises:
        GenerationError: the string has lone surrogates.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise GenerationError(
            f"{what} {text!r} is no whole text: its character {error.start} is a lone surrogate, "
            f"U+{ord(text[error.start]):04X}, such as a piece of a character becomes. Generated "
            "text has whole characters only; give the character itself."
        ) from error


def _whole(value: Any) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


def _strings(values: Any) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(v, str) and v for v in values)


_Rule = tuple[Callable[[Any], bool], str]  # whether a value is good, and the rule in words
_AT_LEAST_0: _Rule = (lambda v: v >= 0 and math.isfinite(v), "a finite number from 0 up")
_ABOVE_0: _Rule = (lambda v: v > 0 and math.isfinite(v), "above 0 and finite")
_FINITE: _Rule = (math.isfinite, "a finite number")
_SHARE: _Rule = (lambda v: 0 < v <= 1, "above 0 and at most 1")
_COUNT: _Rule = (lambda v: _whole(v) and v >= 0, "0 (off) or more")
_WINDOW: _Rule = (lambda v: _whole(v) and v >= 0, "0 (the whole text) or more")
_POSITIVE: _Rule = (lambda v: _whole(v) and v >= 1, "at least 1")
_STRINGS: _Rule = (_strings, "a tuple of strings that are not empty")
_RULES: Mapping[str, _Rule] = {
    "temperature": _AT_LEAST_0,
    "top_k": _COUNT,
    "top_p": _SHARE,
    "min_p": (lambda v: 0 <= v < 1, "from 0 to below 1"),
    "typical_p": _SHARE,
    "repetition_penalty": _ABOVE_0,
    "presence_penalty": _FINITE,
    "frequency_penalty": _FINITE,
    "penalty_window": _WINDOW,
    "dry_multiplier": _AT_LEAST_0,
    "dry_base": (lambda v: v >= 1 and math.isfinite(v), "a finite number from 1 up"),
    "dry_allowed_length": _POSITIVE,
    "dry_window": _WINDOW,
    "dry_sequence_breakers": _STRINGS,
    "xtc_probability": (lambda v: 0 <= v <= 1, "from 0 (off) to 1"),
    "xtc_threshold": (
        lambda v: 0 < v <= 0.5,
        "above 0 and at most 0.5 (above it no two tokens can be)",
    ),
    "mirostat": (lambda v: _whole(v) and 0 <= v <= 2, "0 (off), 1 or 2"),
    "mirostat_tau": _ABOVE_0,
    "mirostat_eta": _ABOVE_0,
    "logit_bias": (
        lambda v: (
            isinstance(v, Mapping) and all(map(_whole, v)) and all(map(math.isfinite, v.values()))
        ),
        "token ids, each with a finite number",
    ),
    "structure": (lambda v: v is None or isinstance(v, Structure), "a Structure"),
    "max_new_tokens": _POSITIVE,
    "stop": _STRINGS,
    "seed": (
        lambda v: v is None or (_whole(v) and -(2**63) <= v < 2**64),
        "a 64-bit whole number",
    ),
    "logprobs": _COUNT,
    "logprob_ids": (
        lambda v: isinstance(v, tuple | list) and all(map(_whole, v)),
        "a tuple of token ids",
    ),
}


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
    named: tuple[float, ...] = ()  # log-probabilities of `logprob_ids`, under the model, in order
    trace: tuple[FilterRecord, ...] = ()  # one record a sampler step, when trace is on
    finish_reason: FinishReason | None = None  # set on the last step
