"""The loop of `learn`, compiled: the same steps in the same order, for any amount of words.

What is in lists and dictionaries there lies in flat arrays here, which grow as they must:

    symbols   the words in a row: how often one occurs, its ids, a gap
    table     how often each pair stands in the words
    queue     pairs to merge, each with the part of `places` that is its own; rare ones wait beside
    places    where a word begins that held the pair when it was put in the queue

A merge goes once through each of its words. All that it changes are the pairs with the token before
it and after it, so changes are summed up for each of these neighbours, and then told to the table.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import entry, inlined, part
from penjing.tokenizer.bpe.ahead import fetch_ahead
from penjing.tokenizer.bpe.first_pairs import first_pairs
from penjing.tokenizer.bpe.letters import N_LETTERS, Tokens, join, new_tokens, with_letters
from penjing.tokenizer.bpe.queue import COUNT, END, PAIR, START, append, longer, push, replace_first
from penjing.tokenizer.bpe.symbols import GAP, longest_word
from penjing.tokenizer.bpe.table import TIMES, add, row_of, with_room
from penjing.tokenizer.bpe.waiting import Waiting, packed, with_frequent, without_first

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]

_ONE = np.uint64(1)  # an index that is not signed is used as it is
_AHEAD = 6  # words whose memory is fetched before it is their turn

# What a step knows of a token beside its merges: the step, how often it stands there, in how many
# words, the last of these (later: where its places go), its row in the table. The token before has
# its id as a number, the token after its id + the size of the vocabulary.
_STEP, _CHANGE, _WORDS, _LAST, _ROW = range(5)


class Found(NamedTuple):
    """What one step met."""

    beside: NDArray[np.int32]  # the numbers of the neighbours
    n_beside: int
    who: Ids  # of each place: the neighbour
    where: Ids  # and the word
    n: int


class State(NamedTuple):
    """Where merging stands."""

    tokens: Tokens
    n_tokens: int
    table: Ints
    used: int  # rows of the table
    waiting: Waiting
    near: Ints  # (2 * size, 5)
    found: Found
    steps: Ints  # (n, 4): left, right, result, count; of which `n_steps` are taken
    n_steps: int
    longest: int  # ids in a word


@entry
def first_state(symbols, size):
    """The state in which each letter is a token, on the way to `size` tokens."""
    table, used, waiting = first_pairs(symbols)
    near = np.full((2 * size, 5), -1, np.int64)
    empty = np.empty(1024, np.int32)
    found = Found(np.empty(2 * size, np.int32), 0, empty, empty.copy(), 0)
    steps = np.empty((size, 4), np.int64)
    longest = longest_word(symbols)
    return State(new_tokens(size), N_LETTERS, table, used, waiting, near, found, steps, 0, longest)


@entry
def merge_on(symbols, size, state, places):
    """Merge until there are `size` tokens, or no pair is left, or so many places were looked at.

    Returns the state, and whether this is the end. The symbols are changed in place.
    """
    tokens, n_tokens, table, used, waiting, near, found, steps, step, longest = state
    while n_tokens < size and places > 0:
        waiting = with_frequent(waiting)
        if waiting.n == 0:
            break
        told, pair = waiting.queue[0, COUNT], waiting.queue[0, PAIR]
        start, end = waiting.queue[0, START], waiting.queue[0, END]
        count = table[row_of(table, pair), TIMES]
        if count != told and count > 0:  # other merges have taken some of its places
            replace_first(waiting.queue, waiting.n, (count, pair, start, end))
            continue
        waiting = without_first(waiting)
        if count < 1:
            continue
        left, right = pair >> 32, pair & 0xFFFFFFFF
        tokens = with_letters(tokens, n_tokens, left, right)
        result = join(tokens, n_tokens, left, right)
        n_tokens = max(n_tokens, result + 1)
        steps = longer(steps, step + 1)
        steps[step, 0], steps[step, 1], steps[step, 2], steps[step, 3] = left, right, result, count
        found = _merge(symbols, waiting.places[start:end], steps[step], size, longest, found)
        found = _sum_up(symbols, found, result, step, size, near)
        table, used = with_room(table, used, 2 * found.n_beside)
        used += _count_anew(table, found, steps[step], size, near)
        waiting = _with_new(waiting, table, found, steps[step], size, near)
        step += 1
        places -= end - start
    is_end = n_tokens >= size or places > 0
    state = State(tokens, n_tokens, table, used, waiting, near, found, steps, step, longest)
    return state, is_end


@part
def _merge(symbols, places, merge, size, longest, found):
    """Make the pair one token in each word. Returns what stands beside it, each time it does."""
    left, right, result = np.int32(merge[0]), np.int32(merge[1]), np.int32(merge[2])
    beside, _, who, where, n = found
    n = 0
    start, width = symbols.ctypes.data, symbols.itemsize
    for i in range(len(places)):
        fetch_ahead(start + width * places[min(i + _AHEAD, len(places) - 1)])
        if n + longest > len(who):  # never in the loops below, which it would make slow
            who, where = longer(who, n + longest), longer(where, n + longest)
        word = places[i]
        at = np.uint64(word)
        symbol = symbols[at]
        while symbol != GAP and (symbol != left or symbols[at + _ONE] != right):
            at += _ONE
            symbol = symbols[at]
        into = at
        before = symbols[at - _ONE] if at > np.uint64(word) else np.int32(GAP)
        while symbol != GAP:
            at += _ONE
            after = symbols[at]
            if symbol == left and after == right:
                at += _ONE
                symbol, after = result, symbols[at]
                if before != GAP:
                    who[n], where[n] = before, word
                    n += 1
                if after != GAP:
                    who[n], where[n] = size + after, word
                    n += 1
            symbols[into] = symbol
            into += _ONE
            before, symbol = symbol, after
        symbols[into] = GAP
    return Found(beside, 0, who, where, n)


@part
def _sum_up(symbols, found, result, step, size, near):
    """What was found, by neighbour; of those in the same word the first one stays."""
    beside, _, who, where, _ = found
    n_beside = n = 0
    for i in range(found.n):
        number, word = who[i], where[i]
        n_beside += _meet(near, number, step, beside, n_beside)
        near[number, _CHANGE] += symbols[word - 1]
        if number - size == result:  # (result, result): seen from both sides, but one pair
            number = result
            n_beside += _meet(near, number, step, beside, n_beside)
        if near[number, _LAST] != word:
            near[number, _LAST] = word
            near[number, _WORDS] += 1
            who[n], where[n] = number, word
            n += 1
    return Found(beside, n_beside, who, where, n)


@inlined
def _meet(near, number, step, beside, n):
    """Note a neighbour. Returns 1 if the step has not met it before, else 0."""
    if near[number, _STEP] == step:
        return 0
    near[number, _STEP], near[number, _CHANGE] = step, 0
    near[number, _WORDS], near[number, _LAST] = 0, -1
    beside[n] = number
    return 1


@part
def _count_anew(table, found, merge, size, near):
    """Tell the table of all changes. Returns how many pairs are new to it."""
    left, right, result = merge[0], merge[1], merge[2]
    new = 0
    for number in found.beside[: found.n_beside]:
        if number < size:
            was, now = np.int64(number) << 32 | left, np.int64(number) << 32 | result
        else:
            was, now = right << 32 | (number - size), result << 32 | (number - size)
        change = near[number, _CHANGE]
        new += add(table, row_of(table, was), was, -change)
        near[number, _ROW] = row_of(table, now)
        new += add(table, near[number, _ROW], now, change)
    return new


@part
def _with_new(waiting, table, found, merge, size, near):
    """The pairs that wait, with those of which there are more now."""
    queue, n, rare, n_rare, floor, places, n_places = waiting
    if n_places + found.n > len(places):
        places, n_places = packed(waiting, found.n)
    queue, rare = longer(queue, n + found.n_beside), longer(rare, n_rare + found.n_beside)
    result = merge[2]
    for number in found.beside[: found.n_beside]:
        count, words = table[near[number, _ROW], TIMES], near[number, _WORDS]
        near[number, _LAST] = n_places if count > 0 else -1
        if count < 1 or words == 0:
            continue
        pair = np.int64(number) << 32 | result if number < size else result << 32 | (number - size)
        row = (count, pair, n_places, n_places + words)
        if count >= floor:
            push(queue, n, row)
            n += 1
        else:
            append(rare, n_rare, row)
            n_rare += 1
        n_places += words
    for i in range(found.n):
        place = near[found.who[i], _LAST]
        if place >= 0:
            places[place] = found.where[i]
            near[found.who[i], _LAST] += 1
    return Waiting(queue, n, rare, n_rare, floor, places, n_places)
