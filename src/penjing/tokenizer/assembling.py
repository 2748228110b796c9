"""A BPE tokenizer from its parts: faster than from their text, where the parts are at hand."""

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE

_SETTINGS = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
_SWITCHES = ("fuse_unk", "byte_fallback", "ignore_merges")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def assemble(spec: Mapping[str, Any]) -> Tokenizer:
    """What `Tokenizer.from_str` makes of the text of `spec`, a tokenizer.json with a BPE model.

    Its merges must be tuples, and its added tokens in the vocabulary.
    """
    model = spec["model"]
    given = {name: model[name] for name in _SETTINGS if model[name] is not None}
    given |= {name: model[name] for name in _SWITCHES}
    empty = {**spec, "added_tokens": [], "model": {**model, "vocab": {}, "merges": []}}
    tokenizer = Tokenizer.from_str(json.dumps(empty))
    tokenizer.model = BPE(vocab=model["vocab"], merges=model["merges"], **given)
    for token in spec["added_tokens"]:
        added = AddedToken(token["content"], **{flag: token[flag] for flag in _FLAGS})
        (tokenizer.add_special_tokens if token["special"] else tokenizer.add_tokens)([added])
    return tokenizer
