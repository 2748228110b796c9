"""A byte-level vocabulary's merges, laid out for a compiled encoder."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from penjing.tokenizer.alphabet import BYTE_TO_CHAR, CHAR_TO_BYTE, from_alphabet
from penjing.tokenizer.facts import merges_of
from penjing.tokenizer.fast.characters import edge_ranks, made_characters
from penjing.tokenizer.fast.memory import PADDING
from penjing.tokenizer.fast.pairs import ID_BITS, NO_RANK, RANK_BITS, pair_slots
from penjing.tokenizer.fast.strings import fill_slots


class MergeTable:
    """Tables of a "BPE" model whose tokens are bytes in GPT-2's alphabet.

    They are read by compiled functions through `addresses`, which is as good as they live:

        0     id of each byte: (256,) 32 bits
        1, 2  pairs (pairs.py), and the number of slots less one
        3     result of each merge: (ranks,) 32 bits
        4, 5  characters and edges (characters.py)
        6-9   all tokens (strings.py): buffer, starts, slots, the number of slots less one; 6 is 0
              where merges alone count

    Args:
        model: the "model" of a tokenizer.json that `can_encode` accepts.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        vocab: Mapping[str, int] = model["vocab"]
        # Of equal pairs the last one counts, as in `tokenizers`.
        pairs = {pair: rank for rank, pair in enumerate(merges_of(model))}
        lefts = np.fromiter((vocab[left] for left, _ in pairs), np.uint64, len(pairs))
        rights = np.fromiter((vocab[right] for _, right in pairs), np.uint64, len(pairs))
        ranks = np.fromiter(pairs.values(), np.uint64, len(pairs))
        self._results = np.zeros(int(ranks.max(initial=0)) + 1, np.uint32)
        self._results[ranks] = [vocab[left + right] for left, right in pairs]
        self._byte_ids = np.array([vocab[char] for char in BYTE_TO_CHAR], np.uint32)

        used_at = np.full(max(vocab.values()) + 1, NO_RANK, np.uint32)
        for side in (lefts, rights):
            np.minimum.at(used_at, side, ranks.astype(np.uint32))
        self._slots = pair_slots(lefts, rights, ranks)
        self._made = made_characters(self._byte_ids, self._slots, self._results, used_at)
        self._edges = edge_ranks(pairs)

        mask = len(self._slots) - 1
        parts = (self._results, self._made, self._edges)
        self.addresses = np.zeros(10, np.int64)
        self.addresses[:3] = self._byte_ids.ctypes.data, self._slots.ctypes.data, mask
        self.addresses[3:6] = [part.ctypes.data for part in parts]
        if model.get("ignore_merges"):
            self._keep_tokens(vocab)

    def _keep_tokens(self, vocab: Mapping[str, int]) -> None:
        """A word that is a token is that token, whatever the merges make of it. A token that is
        not written in the alphabet is no word."""
        tokens = [b""] * (max(vocab.values()) + 1)
        for token, id in vocab.items():
            if CHAR_TO_BYTE.keys() >= set(token):
                tokens[id] = from_alphabet(token)
        self._text = np.frombuffer(b"".join(tokens) + bytes(PADDING), np.uint8)
        self._starts = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
        self._strings = np.zeros(1 << (2 * len(tokens)).bit_length(), np.uint64)
        fill_slots(self._text, self._starts, self._strings)
        parts = (self._text, self._starts, self._strings)
        self.addresses[6:9] = [part.ctypes.data for part in parts]
        self.addresses[9] = len(self._strings) - 1


def can_encode(model: Mapping[str, Any]) -> bool:
    """Whether the tables hold all that this "model" of a tokenizer.json says.

    Each byte must have a token: then no word is unknown.
    """
    vocab = model.get("vocab")
    return (
        model.get("type", "BPE") == "BPE"
        and isinstance(vocab, dict)
        and all(char in vocab for char in BYTE_TO_CHAR)
        and max(vocab.values()) < 1 << ID_BITS
        and len(model["merges"]) < (1 << RANK_BITS) - 1
        and not any(
            model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
        )
    )
