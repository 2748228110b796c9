"""Mirostat: hold the surprise of a text at a level, by feedback (Basu et al. 2021).

Each step keeps what surprises at most `mu` bits. After the draw `mu` is moved by the error: down
when the token surprised more than `tau` bits, up when less. The formulas are llama.cpp's: surprise
is measured in the distribution that was drawn from, and `mu` begins at twice `tau`.
"""

import math

import numpy as np

from penjing.generate.sampling.draw import logsumexp
from penjing.generate.sampling.filters import keep, temperature, top_k
from penjing.kernels.scores import Logits

M = 100  # tokens that version 1 estimates Zipf's exponent from
MOST = 1e9  # bits: no token surprises so much, and `mu` stays a number whatever the settings are


def mirostat_v1(logits: Logits, mu: float) -> Logits:
    """Keep the k likeliest tokens, k such that under Zipf's law the last surprises `mu` bits."""
    return top_k(logits, zipf_k(logits, mu))


def zipf_k(logits: Logits, mu: float) -> int:
    """How many of the likeliest tokens to keep, were probabilities as 1 / rank ** s.

    s is fitted to the 100 likeliest tokens (V,); the paper's equations 7 and 8.
    """
    vocab_size = len(logits)
    n = min(M, vocab_size)
    top = -np.sort(-np.partition(logits, vocab_size - n)[vocab_size - n :]).astype(np.float64)
    top = top[top > -np.inf]
    if len(top) < 2:
        return 1
    ranks = np.arange(1, len(top))
    steps = np.log((ranks + 1) / ranks)  # how much rarer Zipf's law has each than the one before
    s = float((steps * -np.diff(top)).sum() / (steps**2).sum())
    if s <= 0:  # all alike
        return vocab_size
    e = s - 1
    ratio = e / -math.expm1(-e * math.log(vocab_size)) if e else 1 / math.log(vocab_size)
    log_k = (math.log(ratio) + mu * math.log(2)) / s
    return vocab_size if log_k >= math.log(vocab_size) else max(int(math.exp(log_k)), 1)


def mirostat_v2(logits: Logits, mu: float) -> Logits:
    """Drop tokens that surprise more than `mu` bits; the likeliest always stays."""
    floor = logsumexp(logits) - mu * math.log(2)
    near = logits >= floor
    return keep(logits, near) if near.any() else temperature(logits, 0)


class Surprise:
    """The state of mirostat in one text: `mu`, the surprise in bits that is allowed next."""

    def __init__(self, tau: float, eta: float, mu: float | None = None) -> None:
        self.tau, self.eta = tau, eta
        self.mu = min(2 * tau, MOST) if mu is None else mu

    def observe(self, logits: Logits, id: int) -> None:
        """`id` was drawn from softmax(logits)."""
        bits = (logsumexp(logits) - float(logits[id])) / math.log(2)
        mu = self.mu - self.eta * (bits - self.tau)
        self.mu = min(max(mu, -MOST), MOST)

    def fork(self) -> "Surprise":
        """The same state, which goes on by itself."""
        return Surprise(self.tau, self.eta, self.mu)
