"""From logits to one token: small pure steps, in a fixed order, then one draw.

Each step takes the logits of all tokens, float32 (V,), and returns new ones; a token that it
removes gets -inf. The order, and why:

1. `repetition_penalty`, `penalties`, `dry`, `logit_bias` speak about the model's own logits, so
   they come before temperature: a penalty of 1 means the same at every temperature.
2. `structure` is the first to remove tokens: all that follows, greedy choice too, chooses among
   those that the structure allows.
3. `temperature` comes before the filters: the nucleus of `top_p` is then one of the distribution
   that is really drawn from. At 0 it keeps the likeliest token alone, which is greedy decoding.
4. `top_k`, `typical_p`, `top_p`, `min_p` each look at what the one before left, renormalised.
5. `xtc` takes top choices away, so it comes when the filters have taken the unlikely ones.
6. `mirostat` learns from how much the drawn token surprised, so nothing comes between it and the
   draw.

Wherever tokens tie, the lower id comes first.
"""

import math
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from operator import index

import numpy as np

from penjing.core.errors import GenerationError
from penjing.core.table import Table
from penjing.core.types import SamplingParams
from penjing.generate.sampling import filters as filters
from penjing.generate.sampling import penalties as past
from penjing.generate.sampling.draw import check_logits, draw, summarize
from penjing.generate.sampling.dry import dry, find_repeats, longest
from penjing.generate.sampling.mirostat import mirostat_v1, mirostat_v2
from penjing.generate.sampling.state import State
from penjing.kernels.scores import Logits, Summary
from penjing.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class SamplerStep:
    """One line of the table: when the step is wanted, and its function under those settings."""

    active: Callable[[SamplingParams], bool]
    apply: Callable[[Logits, SamplingParams, State], Logits]


def _dry(logits: Logits, p: SamplingParams, state: State) -> Logits:
    text = state.history.text[-p.dry_window :]
    limit = min(len(text), longest(p.dry_base, p.dry_allowed_length))
    limit = limit if state.breaks is None else min(limit, state.breaks.since)
    ids, repeats = find_repeats(text, p.dry_allowed_length, limit)
    if state.breaks is not None:
        weakened = [not state.breaks.is_breaker(id) for id in ids.tolist()]
        ids, repeats = ids[weakened], repeats[weakened]
    if not len(ids):
        return logits
    return dry(logits, ids, repeats, p.dry_multiplier, p.dry_base, p.dry_allowed_length)


def _structure(logits: Logits, p: SamplingParams, state: State) -> Logits:
    assert state.grammar is not None, "made with the state"
    return filters.keep(logits, state.grammar.allowed())


def _xtc(logits: Logits, p: SamplingParams, state: State) -> Logits:
    strikes = state.strikes.random() < p.xtc_probability  # one number a token, used or not
    return filters.xtc(logits, p.xtc_threshold) if strikes else logits


def _mirostat(logits: Logits, p: SamplingParams, state: State) -> Logits:
    assert state.surprise is not None, "made with the state"
    return (mirostat_v1 if p.mirostat == 1 else mirostat_v2)(logits, state.surprise.mu)


STEPS: Table[SamplerStep] = Table(
    "sampler step",
    {
        "repetition_penalty": SamplerStep(
            lambda p: p.repetition_penalty != 1,
            lambda logits, p, state: past.repetition_penalty(
                logits, state.history.seen, p.repetition_penalty
            ),
        ),
        "penalties": SamplerStep(
            lambda p: p.presence_penalty != 0 or p.frequency_penalty != 0,
            lambda logits, p, state: past.penalties(
                logits, state.history.generated, p.presence_penalty, p.frequency_penalty
            ),
        ),
        "dry": SamplerStep(lambda p: p.dry_multiplier > 0, _dry),
        "logit_bias": SamplerStep(
            lambda p: bool(p.logit_bias),
            lambda logits, p, _: past.logit_bias(logits, p.logit_bias),
        ),
        "structure": SamplerStep(lambda p: p.structure is not None, _structure),
        "temperature": SamplerStep(
            lambda p: p.temperature != 1,
            lambda logits, p, _: filters.temperature(logits, p.temperature),
        ),
        # After greedy's temperature 0 one token is left, and the filters have nothing to do.
        "top_k": SamplerStep(
            lambda p: p.top_k > 0 and p.temperature > 0,
            lambda logits, p, _: filters.top_k(logits, p.top_k),
        ),
        "typical_p": SamplerStep(
            lambda p: p.typical_p < 1 and p.temperature > 0,
            lambda logits, p, _: filters.typical_p(logits, p.typical_p),
        ),
        "top_p": SamplerStep(
            lambda p: p.top_p < 1 and p.temperature > 0,
            lambda logits, p, _: filters.top_p(logits, p.top_p),
        ),
        "min_p": SamplerStep(
            lambda p: p.min_p > 0 and p.temperature > 0,
            lambda logits, p, _: filters.min_p(logits, p.min_p),
        ),
        "xtc": SamplerStep(lambda p: p.xtc_probability > 0 and p.temperature > 0, _xtc),
        "mirostat": SamplerStep(lambda p: p.mirostat > 0 and p.temperature > 0, _mirostat),
    },
)

Watch = Callable[[str, Logits, Logits], None]  # a step's name, the logits before and after it


class Sampler:
    """The choices of one request: its active steps, its past, its own random numbers.

    `seed` is the one in use, drawn when the settings name none: the same seed gives the same
    tokens for the same logits, whatever else the process does.

    Args:
        tokenizer: needed by `structure`, and by DRY with sequence breakers.
        stop_ids: end tokens; a structure allows them only where the text may end.

    Raises:
        GenerationError: ids outside the vocabulary, or a structure that cannot be used.
    """

    def __init__(
        self,
        params: SamplingParams,
        vocab_size: int,
        prompt: Sequence[int] = (),
        *,
        tokenizer: Tokenizer | None = None,
        stop_ids: Collection[int] = (),
    ) -> None:
        _check_ids("logit_bias", params.logit_bias, vocab_size)
        _check_ids("logprob_ids", params.logprob_ids, vocab_size)
        self.params = params
        self.steps = {name: step for name, step in STEPS.items() if step.active(params)}
        # Greedy choice from the logits as they are; `watch` must be shown the steps all the same.
        self._plain = params.temperature == 0 and self.steps.keys() <= {"temperature"}
        self.seed = secrets.randbits(32) if params.seed is None else index(params.seed)
        self.state = State(params, vocab_size, prompt, self.seed, tokenizer, stop_ids)

    @property
    def finished(self) -> bool:
        """Whether the structure is complete, so that nothing can follow the last token."""
        return self.state.grammar is not None and self.state.grammar.finished

    def choose(
        self, logits: Logits, watch: Watch | None = None, known: Summary | None = None
    ) -> int:
        """The next token's id from the model's logits, float32 (V,).

        To be called once for each token, in order. `watch` is shown what each active step did.
        `known` is the logits' summary, for those who have it.

        Raises:
            GenerationError: the logits are not numbers, or no token is possible.
        """
        known = summarize(logits) if known is None else known
        if math.isnan(known.logsumexp):
            check_logits(logits, f"The model's logits {self._place}")
        if self._plain and watch is None:
            id = known.id
        else:
            logits = self._apply_steps(logits, watch)
            greedy = self.params.temperature == 0
            id = int(logits.argmax()) if greedy else draw(logits, self.state.draws.random())
        self.state.advance(id, logits)
        return id

    def _apply_steps(self, logits: Logits, watch: Watch | None) -> Logits:
        """The logits as the active steps leave them."""
        with np.errstate(all="ignore"):  # what comes of it is checked
            for name, step in self.steps.items():
                if name == "temperature" and self.params.temperature == 0 and watch is None:
                    continue  # it leaves one token, which is the largest anyway
                before, logits = logits, step.apply(logits, self.params, self.state)
                check_logits(logits, f"The logits after {name} {self._place}")
                if watch is not None:
                    watch(name, before, logits)
        return logits

    @property
    def _place(self) -> str:
        return f"at step {self.state.history.length}"

    def fork(self) -> "Sampler":
        """The same sampler, which goes on by itself: alike for alike logits."""
        twin = copy(self)
        twin.state = self.state.fork()
        return twin


def _check_ids(name: str, ids: Iterable[int], vocab_size: int) -> None:
    for id in ids:
        if not 0 <= id < vocab_size:
            raise GenerationError(
                f"{name} names token {id}, but the vocabulary's ids are 0 to {vocab_size - 1}."
            )
