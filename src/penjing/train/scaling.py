"""What loss to expect of a model's size and its tokens: a scaling law fitted to our own small runs.

Hoffmann et al. 2022 (arXiv 2203.15556): L(N, D) = E + A / N^a + B / D^b, with N the parameters and
D the tokens trained on. L is the validation loss in units of the bigram baseline of the same text,
which carries over between texts and tokenizers far better than nats or bits do. The constants are
those of benchmarks/results/scaling.json, which benchmarks/scaling.py measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

UNIT = "bigram"  # the baseline that a loss is divided by
FORM = ("qwen3", "muon", "zero")  # family, optimizer and init of the runs


@dataclass(frozen=True)
class Law:
    """The constants, and the range of the runs that they were fitted to.

    E, the loss that no size and no text removes, is not to be had from runs as small as these; the
    law is for within their range.
    """

    E: float
    A: float
    a: float
    B: float
    b: float
    spread: float  # standard deviation of the runs' log L around the law
    parameters: tuple[int, int]  # least and most
    tokens: tuple[int, int]
    epochs: float  # most passes over a text
    bytes_per_token: tuple[float, float]

    def loss(self, n_parameters: float, n_tokens: float) -> float:
        """L, in units of the bigram baseline."""
        size, text = self.A * n_parameters**-self.a, self.B * n_tokens**-self.b
        return float(self.E + size + text)


@dataclass(frozen=True)
class Band:
    """Bits per byte between which the validation loss of such a run ends, as a rule."""

    low: float
    high: float


LAW = Law(
    E=0.70034,
    A=107.13,
    a=0.52841,
    B=113.62,
    b=0.48528,
    spread=0.027002,
    parameters=(309_568, 4_328_192),
    tokens=(245_760, 1_966_080),
    epochs=1.633,
    bytes_per_token=(2.958, 3.526),
)

WIDTH = 3.0  # spreads to either side
EDGE = 1.25  # how far beyond the fitted range the law is still asked


def expected(
    n_parameters: int,
    n_tokens: int,
    baselines: Mapping[str, float],
    *,
    form: tuple[str, str, str],
    epochs: float,
    bytes_per_token: float,
) -> Band | None:
    """Where the validation loss of a whole run should end, in bits per byte.

    None outside the range of sizes, tokens, passes and tokenizers that the law was fitted to, and
    for other families, optimizers and inits: it says nothing there. (Characters, for one, have far
    weaker bigrams than pieces of words.) It holds for language, trained from scratch to the end of
    the schedule.

    Args:
        n_parameters: of the model, a tied table counted once.
        n_tokens: trained on, repeats included.
        baselines: by name, in bits per byte of the validation text.
        form: family, optimizer and init.
        epochs: passes over the training text.
        bytes_per_token: of the validation text.
    """
    asked: tuple[tuple[float, tuple[float, float]], ...] = (
        (n_parameters, LAW.parameters),
        (n_tokens, LAW.tokens),
        (epochs, (0.0, LAW.epochs)),
        (bytes_per_token, LAW.bytes_per_token),
    )
    if form != FORM or any(not low / EDGE <= value <= high * EDGE for value, (low, high) in asked):
        return None
    bits = baselines[UNIT] * LAW.loss(n_parameters, n_tokens)
    return Band(low=bits * (1 - WIDTH * LAW.spread), high=bits * (1 + WIDTH * LAW.spread))
