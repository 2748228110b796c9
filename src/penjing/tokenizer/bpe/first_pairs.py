"""Compiled: the pairs of letters in the words, with which merging begins."""

import numpy as np

from penjing.compiling.functions import part
from penjing.tokenizer.bpe.letters import N_LETTERS
from penjing.tokenizer.bpe.queue import COUNT, push
from penjing.tokenizer.bpe.symbols import GAP
from penjing.tokenizer.bpe.table import add, new_table, row_of
from penjing.tokenizer.bpe.waiting import Waiting


@part
def first_pairs(symbols):
    """The table, how many pairs it holds, and the pairs that wait, each letter being a token."""
    n_pairs = N_LETTERS * N_LETTERS
    times, n_words = np.zeros(n_pairs, np.int64), np.zeros(n_pairs, np.int64)
    last = np.empty(n_pairs, np.int64)
    places = np.empty(0, np.int32)
    for placing in range(2):  # first how many places each pair has, then which
        last[:] = -1
        if placing:
            begin = 0
            for pair in range(n_pairs):
                times[pair], n_words[pair], begin = 0, begin, begin + n_words[pair]
            places = np.empty(begin * 5 // 4, np.int32)
        at = 0
        while at < len(symbols):
            weight, word = symbols[at], at + 1
            at = word
            while symbols[at] != GAP:
                if symbols[at + 1] != GAP:
                    pair = symbols[at] * N_LETTERS + symbols[at + 1]
                    times[pair] += weight
                    if last[pair] != word:
                        last[pair] = word
                        if placing:
                            places[n_words[pair]] = word
                        n_words[pair] += 1
                at += 1
            at += 1
    table, queue, n = new_table(4 * n_pairs), np.empty((n_pairs, 4), np.int64), 0
    start = 0
    for number in range(n_pairs):
        if times[number]:
            pair = number // N_LETTERS << 32 | number % N_LETTERS
            add(table, row_of(table, pair), pair, times[number])
            push(queue, n, (times[number], pair, start, n_words[number]))
            n += 1
        start = n_words[number]
    floor = max(1, queue[0, COUNT] // 16) if n else 1
    rare = np.empty((n_pairs, 4), np.int64)
    return table, n, Waiting(queue, n, rare, 0, floor, places, start)
