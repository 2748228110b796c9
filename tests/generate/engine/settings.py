"""Settings that the tests of the engine share."""

from penjing.core.types import SamplingParams


def greedy(n: int, **more: object) -> SamplingParams:
    """Always the most likely token, n of them."""
    return SamplingParams(temperature=0, max_new_tokens=n, **more)
