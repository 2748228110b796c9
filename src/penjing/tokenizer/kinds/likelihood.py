"""How likely words are when each is cut into pieces at random: the sums over all ways, compiled.

The pieces that end at the i-th character of all words are those from first[i] to first[i + 1]:
their `lengths`, and their numbers, `pieces`. `scores` are logarithms of probabilities.
"""

import math

import numpy as np

from penjing.compiling.functions import entry


@entry
def expected_counts(first, lengths, pieces, ends, weights, scores, longest):
    """How often each piece is expected in the words, over all ways to cut them by likelihood.

    Forward: alpha, the likelihood of a word's first characters. Backward: the share of all ways
    that have an end there, handed on to the pieces that end there, and to where these begin.

    Returns:
        the counts, (n_pieces,), and the logarithm of the likelihood of all words.
    """
    counts = np.zeros(len(scores))
    alpha = np.zeros(longest + 1)
    share = np.zeros(longest + 1)
    total = 0.0
    start = 0
    for word in range(len(ends)):
        size = ends[word] - start
        for end in range(1, size + 1):
            best = -np.inf
            for at in range(first[start + end - 1], first[start + end]):
                best = max(best, alpha[end - lengths[at]] + scores[pieces[at]])
            among = 0.0
            for at in range(first[start + end - 1], first[start + end]):
                among += math.exp(alpha[end - lengths[at]] + scores[pieces[at]] - best)
            alpha[end] = best + math.log(among)
            share[end] = 0.0
        share[size] = weights[word]
        for end in range(size, 0, -1):
            for at in range(first[start + end - 1], first[start + end]):
                begin, piece = end - lengths[at], pieces[at]
                part = share[end] * math.exp(alpha[begin] + scores[piece] - alpha[end])
                counts[piece] += part
                share[begin] += part
        total += weights[word] * alpha[size]
        start = ends[word]
    return counts, total


@entry
def losses(first, lengths, pieces, starts, sizes, counts, scores):
    """How much less likely the words become without a piece, for each piece of two or more.

    Where it stood, the best way to cut it into others takes its place (Kudo, 2018, 3.2). A piece
    of one character cannot be done without: its loss is infinite.
    """
    loss = np.full(len(scores), np.inf)
    total = counts.sum()
    best = np.zeros(sizes.max() + 1)
    last = np.zeros(sizes.max() + 1, np.int64)  # where the last piece of the best way is told
    for piece in range(len(scores)):
        size, start, count = sizes[piece], starts[piece], counts[piece]
        if size == 1:
            continue
        for end in range(1, size + 1):
            best[end] = -np.inf
            for at in range(first[start + end - 1], first[start + end]):
                if lengths[at] > end or pieces[at] == piece:
                    continue
                score = best[end - lengths[at]] + scores[pieces[at]]
                if score > best[end]:
                    best[end], last[end] = score, at
        n_others, others, end = 0, 0.0, size
        while end > 0:
            others += math.log(counts[pieces[last[end]]] + count)
            n_others += 1
            end -= lengths[last[end]]
        others -= n_others * math.log(total + count * (n_others - 1))
        loss[piece] = count * (math.log(count) - math.log(total) - others)
    return loss
