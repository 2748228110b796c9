"""Positions as plain numbers: the paper's sines and cosines, and ALiBi's slopes."""

import math

import numpy as np
from numpy.typing import NDArray

SIZE = 0.02 * math.sqrt(2.0)  # of a sine: as large as embeddings begin, where the paper grows those


def sinusoids(length: int, width: int) -> NDArray[np.float32]:
    """What is added to the embeddings of positions 0 to length - 1, (T, C).

    Sines and cosines of falling frequency, in turn (Vaswani et al. 2017, section 3.5).
    """
    frequency = 10000.0 ** (-np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * frequency  # (T, C/2)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)[:, :width]
    return (SIZE * waves).astype(np.float32)


def alibi_slopes(n_head: int) -> NDArray[np.float32]:
    """A slope for each head (H,) (Press et al. 2021): the paper's geometric series; between powers
    of two, every second of the next."""
    power = 2 ** math.floor(math.log2(n_head))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-4 * (i + 1) / power) for i in range(0, 2 * (n_head - power), 2)]
    return np.array(slopes + between, np.float32)
