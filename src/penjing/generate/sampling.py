"""From logits to one token: small pure steps, in a fixed order, then one draw.

Each step takes the logits of all tokens, float32 (V,), and returns new ones; a token that it
removes gets -inf. The order, and why:

1. `repetition_penalty`, `penalties`, `logit_bias` speak about the model's own logits, so they
   come before temperature: a penalty of 1 means the same at every temperature.
2. `temperature` comes before the filters: the nucleus of `top_p` is then one of the distribution
   that is really drawn from. At 0 it keeps the likeliest token alone, which is greedy decoding.
3. `top_k`, `top_p`, `min_p` each look at what the one before left, renormalised.

Wherever tokens tie, the lower id comes first.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from penjing.core.errors import GenerationError
from penjing.core.table import Table
from penjing.core.types import SamplingParams

# Below this temperature the largest logit is moved to 0 first, lest the quotients overflow.
TINY_TEMPERATURE = 0.01


def repetition_penalty(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make the tokens of the boolean mask `seen` (V,), prompt and output, less likely (above 1).

    A positive logit is divided by `penalty` and a negative one multiplied (Keskar et al. 2019,
    "CTRL", with the mend for negative logits that `transformers` made).
    """
    weaker = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, weaker, logits)


def penalties(logits: Tensor, counts: Tensor, presence: float, frequency: float) -> Tensor:
    """Subtract `presence` once and `frequency` by the count, for each token generated so far.

    `counts` (V,) says how often; the prompt does not count. The formula of the OpenAI API.
    """
    return logits - (counts > 0) * presence - counts * frequency


def logit_bias(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add a number to the logits of some tokens; -100 in effect bans one.

    Raises:
        GenerationError: an id that is not in the vocabulary.
    """
    _check_bias(bias, len(logits))
    biased = logits.clone()
    biased[list(bias)] += torch.tensor(list(bias.values()), dtype=logits.dtype)
    return biased


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide by `t`: above 1 flattens the distribution, below 1 sharpens it.

    At 0 only the likeliest token is left, the lowest id of those that tie. Below 0.01 the logits
    are shifted first, so that the largest is 0: the same distribution.
    """
    if t == 0:
        top = int(logits.argmax())
        only = torch.full_like(logits, -torch.inf)
        only[top] = logits[top]
        return only
    if t < TINY_TEMPERATURE:
        return (logits - logits.max()) / max(t, torch.finfo(logits.dtype).tiny)
    return logits / t


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep exactly the `k` likeliest tokens (Fan et al. 2018).

    Of tokens that tie for the last place, those with the lowest ids stay. (`transformers` keeps
    them all, so that k = 1 may leave several; with bfloat16 logits ties are common.)
    """
    return logits if k >= len(logits) else _keep(logits, k, last=logits.topk(k).values[-1])


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the nucleus, the fewest likeliest tokens that reach `p` together (Holtzman et al. 2020).

    Of tokens that tie for the last place, those with the lowest ids stay.
    """
    # All tokens below this logit have less than 1 - p together: the nucleus lies above it.
    floor = logits.max() + math.log((1 - p) / len(logits))
    # NumPy sorts float32 many times faster than torch does.
    ordered = torch.from_numpy(np.sort(logits[logits >= floor].numpy())).flip(0)
    reached = (ordered - logits.logsumexp(0)).exp().cumsum(0, dtype=torch.float64)
    n = min(int((reached < p).sum()) + 1, len(ordered))
    return _keep(logits, n, last=ordered[n - 1])


def min_p(logits: Tensor, p: float) -> Tensor:
    """Drop tokens below `p` times the likeliest one's probability (Nguyen et al. 2024)."""
    return logits.masked_fill(logits < logits.max() + math.log(p), -torch.inf)


def _keep(logits: Tensor, n: int, last: Tensor) -> Tensor:
    """Only the `n` largest logits (V,), of which `last` is the smallest; of ties, the lower ids."""
    keep = logits >= last
    surplus = int(keep.sum()) - n
    if surplus:
        keep[(logits == last).nonzero()[-surplus:]] = False
    return logits.masked_fill(~keep, -torch.inf)


class History:
    """What the penalties look at: tokens seen at all, and how often each was generated."""

    def __init__(self, vocab_size: int, prompt: Sequence[int] = ()) -> None:
        self.seen = torch.zeros(vocab_size, dtype=torch.bool)  # in the prompt or generated
        self.seen[list(prompt)] = True
        self.counts = torch.zeros(vocab_size)  # generated only
        self.length = 0  # tokens generated

    def add(self, id: int) -> None:
        self.seen[id] = True
        self.counts[id] += 1
        self.length += 1


@dataclass(frozen=True)
class SamplerStep:
    """One line of the table: when the step is wanted, and its function under those settings."""

    active: Callable[[SamplingParams], bool]
    apply: Callable[[Tensor, SamplingParams, History], Tensor]


STEPS: Table[SamplerStep] = Table(
    "sampler step",
    {
        "repetition_penalty": SamplerStep(
            lambda p: p.repetition_penalty != 1,
            lambda logits, p, past: repetition_penalty(logits, past.seen, p.repetition_penalty),
        ),
        "penalties": SamplerStep(
            lambda p: p.presence_penalty != 0 or p.frequency_penalty != 0,
            lambda logits, p, past: penalties(
                logits, past.counts, p.presence_penalty, p.frequency_penalty
            ),
        ),
        "logit_bias": SamplerStep(
            lambda p: bool(p.logit_bias),
            lambda logits, p, _: logit_bias(logits, p.logit_bias),
        ),
        "temperature": SamplerStep(
            lambda p: p.temperature != 1,
            lambda logits, p, _: temperature(logits, p.temperature),
        ),
        # After greedy's temperature 0 one token is left, and the filters have nothing to do.
        "top_k": SamplerStep(
            lambda p: p.top_k > 0 and p.temperature > 0,
            lambda logits, p, _: top_k(logits, p.top_k),
        ),
        "top_p": SamplerStep(
            lambda p: p.top_p < 1 and p.temperature > 0,
            lambda logits, p, _: top_p(logits, p.top_p),
        ),
        "min_p": SamplerStep(
            lambda p: p.min_p > 0 and p.temperature > 0,
            lambda logits, p, _: min_p(logits, p.min_p),
        ),
    },
)

Watch = Callable[[str, Tensor, Tensor], None]  # a step's name, the logits before and after it


class Sampler:
    """The choices of one request: its active steps, its history, its own random generator.

    `seed` is the one in use, drawn when the settings name none: the same seed gives the same
    tokens for the same logits, whatever else the process does.

    Raises:
        GenerationError: a logit bias or a seed that cannot be used.
    """

    def __init__(self, params: SamplingParams, vocab_size: int, prompt: Sequence[int] = ()) -> None:
        _check_bias(params.logit_bias, vocab_size)
        self.params = params
        self.steps = {name: step for name, step in STEPS.items() if step.active(params)}
        self.history = History(vocab_size, prompt)
        self.seed = secrets.randbits(32) if params.seed is None else params.seed
        if not -(2**63) <= self.seed < 2**64:
            raise GenerationError(f"seed must be a 64-bit whole number, got {self.seed}.")
        self.generator = torch.Generator().manual_seed(self.seed)

    def choose(self, logits: Tensor, watch: Watch | None = None) -> int:
        """The next token's id from the model's logits, float32 (V,) on the CPU.

        `watch` is shown what each active step did.

        Raises:
            GenerationError: the logits are not numbers, or no token is possible.
        """
        check_logits(logits, f"The model's logits at step {self.history.length}")
        for name, step in self.steps.items():
            before, logits = logits, step.apply(logits, self.params, self.history)
            check_logits(logits, f"The logits after {name} at step {self.history.length}")
            if watch is not None:
                watch(name, before, logits)
        id = int(logits.argmax()) if self.params.temperature == 0 else draw(logits, self.generator)
        self.history.add(id)
        return id


def draw(logits: Tensor, generator: torch.Generator) -> int:
    """One token from softmax(logits), by the inverse of the cumulative distribution.

    Takes exactly one number from `generator`, so that a seed's n-th draw does not depend on how
    many tokens were possible before it.
    """
    reached = logits.softmax(0).cumsum(0, dtype=torch.float64)  # (V,)
    u = torch.rand((), generator=generator, dtype=torch.float64)  # in [0, 1)
    # right: the first token whose sum is above u, so one of probability 0 is never drawn.
    return int(torch.searchsorted(reached, u * reached[-1], right=True))


def check_logits(logits: Tensor, what: str) -> None:
    """Nothing, when a token can be chosen from `logits` (V,); `what` names them in the error.

    Raises:
        GenerationError: NaN or +inf anywhere, or -inf everywhere.
    """
    top = logits.max().item()  # NaN if any is
    if math.isfinite(top):
        return
    if top == -math.inf:
        raise GenerationError(f"{what} are -inf for every token: none is left to choose.")
    raise GenerationError(
        f"{what} hold {'NaN' if math.isnan(top) else 'infinity'}. If the weights are sound, try "
        "float32 instead of a 16-bit type; if a penalty or a bias is extreme, make it smaller."
    )


def _check_bias(bias: Mapping[int, float], vocab_size: int) -> None:
    for id in bias:
        if not 0 <= id < vocab_size:
            raise GenerationError(
                f"logit_bias names token {id}, but the vocabulary's ids are 0 to {vocab_size - 1}."
            )
