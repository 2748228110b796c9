"""What the compiled passes share: reading UTF-8, and hashing. Imported late, for Numba is slow to
start."""

import numpy as np
from numba import uint64

from penjing.compiling.functions import inlined

# FNV-1a (Fowler, Noll and Vo), over code points.
BASIS = uint64(0xCBF29CE484222325)
PRIME = uint64(0x100000001B3)


@inlined
def decode(buffer, at):
    """The code point that begins here in valid UTF-8, and its length."""
    first = np.int64(buffer[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(buffer[at + 1]) & 0x3F), 2
    if first < 0xF0:
        high = (first & 0x0F) << 12 | (np.int64(buffer[at + 1]) & 0x3F) << 6
        return high | (np.int64(buffer[at + 2]) & 0x3F), 3
    high = (first & 0x07) << 18 | (np.int64(buffer[at + 1]) & 0x3F) << 12
    low = (np.int64(buffer[at + 2]) & 0x3F) << 6 | (np.int64(buffer[at + 3]) & 0x3F)
    return high | low, 4


@inlined
def mix(x):
    """The finishing step of SplitMix64 (Steele et al. 2014): every bit counts for every bit."""
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))
