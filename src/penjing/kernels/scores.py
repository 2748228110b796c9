"""What a model says of the tokens that may come next."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]  # (V,): one number a token, -inf for what is not possible


class Summary(NamedTuple):
    """What is asked of a row of logits most often."""

    top: float  # the largest
    id: int  # its token, the lowest id of those that tie
    logsumexp: float  # log(sum(exp(logits))); NaN where no token can be chosen


class Scores(NamedTuple):
    """What is said after each of the last tokens of a text."""

    logits: Logits  # (n, V)
    summaries: Sequence[Summary] = ()  # of each row, where it came for nothing; else none
