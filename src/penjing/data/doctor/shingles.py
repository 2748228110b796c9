"""A compiled pass over the words of documents: languages, signatures, and hashes of passages.

A word is a run of letters and digits; in scripts without spaces (Han, kana, Thai, ...) each
character is one. A shingle is a run of `SHINGLE` words, a passage one of `PASSAGE` words: case,
spaces and punctuation make no difference to them. Their hashes are polynomials over the hashes of
the words, carried along from word to word (Karp and Rabin 1987).
"""

import numpy as np
from numba import uint64

from penjing.compiling.functions import entry, inlined
from penjing.data.doctor.characters import (
    DIGIT,
    FIRST_SCRIPT,
    FIRST_SPACED,
    FIRST_UNWANTED,
    MARK,
    NEWLINE,
)
from penjing.data.doctor.languages import WEIGHT
from penjing.data.doctor.utf8 import BASIS, PRIME, decode, mix

SHINGLE = 5  # words (Lee et al. 2022 use 5, too)
PASSAGE = 32  # words: some 180 bytes of English, 100 of Chinese
BINS = 128  # of a signature
LEAST_SHINGLES = 16  # of a document, for how alike two are to be told by their signatures
SLOTS = 2**13  # of the table of common words

_BASE = uint64(0xD6E8FEB86659FD93)
_ODD = uint64(0x9E3779B97F4A7C15)
_HIGHEST = uint64(0xFFFFFFFFFFFFFFFF)


@entry
def hash_words(
    buffer, ends, class_of, small, common, owners, limit,
    piece_of, n_words, n_shingles, languages, signatures, least, hashes, where,
):  # fmt: skip
    """Fill the last seven arrays, and `hashes` and `where` only as far as is returned.

    Args:
        small: the small letter of each code point below its length.
        common: hashes of common words, by open addressing, (SLOTS,).
        owners: the languages of each of them, as `scan.common_words` has them.
        limit: passages with a larger hash are left out.
        piece_of: the row in `least` of a document that is only a part of one, else -1, (N,).
        n_words, n_shingles: (N,), zeros before.
        languages: weight of common words, (N, languages), zeros before.
        signatures: 8 bits of each value, (N, BINS).
        least: the least hash of each bin, for `sign`, (parts, BINS).
        hashes, where: of the passages, and where each ends, (P,).
    """
    powers = np.ones(2, dtype=np.uint64)  # what the word that drops out is multiplied with
    for n in range(PASSAGE):
        powers[0] *= _BASE if n < SHINGLE else uint64(1)
        powers[1] *= _BASE
    ring = np.empty(PASSAGE, dtype=np.uint64)  # the last words
    sums = np.empty(2, dtype=np.uint64)  # over the last SHINGLE and PASSAGE of them
    bins = np.empty(BINS, dtype=np.uint64)
    n_passages, at = 0, 0
    for doc in range(len(ends)):
        ring[:], sums[:], bins[:] = uint64(0), uint64(0), _HIGHEST
        word, in_word = BASIS, False
        while at <= ends[doc]:  # one step beyond the end closes the last word
            if at < ends[doc]:
                code, length = decode(buffer, at)
                kind = np.int64(class_of[code])
            else:
                code, length, kind = np.int64(10), 1, np.int64(NEWLINE)
            if FIRST_UNWANTED <= kind < FIRST_SCRIPT:  # a soft hyphen ends no word
                at += length
                continue
            is_letter = bool(kind == DIGIT or kind >= FIRST_SPACED or (kind == MARK and in_word))
            if in_word and not is_letter:
                _credit(word, common, owners, languages, doc)
                _roll(word, n_words[doc], ring, sums, powers)
                n_words[doc] += 1
                n_passages += _note(n_words[doc], sums, bins, limit, at, hashes, where, n_passages)
            if FIRST_SCRIPT <= kind < FIRST_SPACED:
                _roll((BASIS ^ uint64(code)) * PRIME, n_words[doc], ring, sums, powers)
                n_words[doc] += 1
                n_passages += _note(n_words[doc], sums, bins, limit, at, hashes, where, n_passages)
            if is_letter:
                letter = uint64(small[code]) if code < len(small) else uint64(code)
                word = ((word if in_word else BASIS) ^ letter) * PRIME
            in_word = is_letter
            at += length
        at = ends[doc]
        n_shingles[doc] = max(0, n_words[doc] - SHINGLE + 1)
        if piece_of[doc] >= 0:
            least[piece_of[doc]] = bins
        elif n_shingles[doc] >= LEAST_SHINGLES:
            _sign(bins, signatures[doc])
    return n_passages


@entry
def sign(least, signatures):
    """The signatures, (N, BINS), of documents by the least hashes of their parts, (N, BINS)."""
    for doc in range(len(least)):
        _sign(least[doc], signatures[doc])


@inlined
def _credit(word, common, owners, languages, doc):
    """Share the weight of a common word among the languages that have it."""
    slot = np.int64(word & uint64(SLOTS - 1))
    while common[slot] != uint64(0) and common[slot] != word:
        slot = (slot + 1) & (SLOTS - 1)
    if common[slot] == word:
        for n in range(owners[slot, 0]):
            languages[doc, owners[slot, n + 1]] += WEIGHT // owners[slot, 0]


@inlined
def _roll(word, number, ring, sums, powers):
    """Take the next word into both sums, and let one drop out of each."""
    value = mix(word)
    slot = number & (PASSAGE - 1)
    sums[0] = sums[0] * _BASE + value - ring[(number - SHINGLE) & (PASSAGE - 1)] * powers[0]
    sums[1] = sums[1] * _BASE + value - ring[slot] * powers[1]
    ring[slot] = value


@inlined
def _note(n_words, sums, bins, limit, at, hashes, where, n_passages):
    """Note the shingle and the passage that end here; returns 1 if the passage is kept, else 0."""
    if n_words >= SHINGLE:
        value = mix(sums[0])
        place = np.int64(value & uint64(BINS - 1))
        bins[place] = min(bins[place], value)
    if n_words >= PASSAGE:
        value = mix(sums[1])
        if value <= limit:
            hashes[n_passages], where[n_passages] = value, at
            return 1
    return 0


@inlined
def _sign(bins, signature):
    """From the least hash of each bin to 8 bits of each: empty bins borrow from full ones.

    One-permutation hashing (Li, Owen and Zhang 2012) with optimal densification (Shrivastava
    2017); 8 bits of each value are enough (Li and König 2010).
    """
    for i in range(BINS):
        source = np.int64(i)
        attempt = uint64(0)
        while bins[source] == _HIGHEST:
            attempt += uint64(1)
            source = np.int64(mix(uint64(i) * _ODD + attempt) & uint64(BINS - 1))
        signature[i] = np.uint8(mix(bins[source] + _ODD) & uint64(0xFF))
