"""Compiled: words as one row of numbers: how often a word occurs, its ids, a gap."""

import numpy as np

from penjing.compiling.functions import entry, part

GAP = -1  # closes a word


@entry
def lay_out(text, starts, counts, ids):
    """The symbols of words: `text[starts[i]:starts[i + 1]]` each; `ids` has the id of a byte."""
    n = len(counts)
    symbols = np.empty(len(text) + 2 * n, np.int32)
    at = 0
    for word in range(n):
        symbols[at] = counts[word]
        for place in range(starts[word], starts[word + 1]):
            at += 1
            symbols[at] = ids[text[place]]
        symbols[at + 1] = GAP
        at += 2
    return symbols


@part
def longest_word(symbols):
    """The ids of the longest word; a merge has no more neighbours in a word than this."""
    longest = n = 0
    for symbol in symbols:
        n = 0 if symbol == GAP else n + 1
        longest = max(longest, n)
    return longest
