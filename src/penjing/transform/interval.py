"""Means over windows of text, with 95 % confidence intervals.

Of 100 such texts some 95 have an interval that holds the mean of all text of their kind.
"""

import math
from dataclasses import dataclass

from torch import Tensor

NORMAL = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % confidence interval; NaN to NaN with fewer than two windows."""

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half its width: what stands after a plus-minus sign."""
        return (self.high - self.low) / 2

    def exp(self) -> "Interval":
        """Of exp(figure): a perplexity from a loss."""
        return Interval(*(math.exp(min(x, 700.0)) for x in (self.value, self.low, self.high)))


def mean_per_token(totals: Tensor, counts: Tensor) -> Interval:
    """Total / count over all windows: `totals` (M,) sums over a window, `counts` (M,) its tokens.

    The windows are the units, since tokens within one depend on each other: the variance is that
    of a ratio of sums (Cochran 1977, section 6.4), with Student's t at M - 1 degrees of freedom.
    """
    totals, counts = totals.double(), counts.double()
    value = float(totals.sum() / counts.sum())
    m = len(totals)
    if m < 2:
        return Interval(value, math.nan, math.nan)
    residuals = totals - value * counts
    variance = m / (m - 1) * float((residuals**2).sum()) / float(counts.sum()) ** 2
    reach = student(m - 1) * math.sqrt(variance)
    return Interval(value, value - reach, value + reach)


def student(degrees: int) -> float:
    """The 97.5 % point of Student's t (Hill 1970's expansion; to 1e-3 from 4 degrees on)."""
    exact = {1: 12.7062047, 2: 4.3026527, 3: 3.1824463}
    if degrees in exact:
        return exact[degrees]
    z, n = NORMAL, degrees
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / n**k for k, term in enumerate(terms, start=1))
