"""A tokenizer as the metadata of a GGUF file: what llama.cpp can hold, and nothing else."""

import json
import re
from collections.abc import Mapping
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.formats.gguf.pre_tokenizers import name_of
from penjing.formats.gguf.tokenizer import ROLES, SPACE
from penjing.formats.gguf.vocabulary import TokenType, Vocabulary, merges_by_score
from penjing.tokenizer.facts import merges_of
from penjing.tokenizer.tokenizer import Tokenizer

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def tokenizer_metadata(tokenizer: Tokenizer, *, rows: int | None = None) -> dict[str, Any]:
    """The entries `tokenizer.*` of a GGUF file, by which llama.cpp gives the same ids.

    `rows` is the number of the model's embeddings, if it has more than the tokenizer has tokens.
    Qwen's normalisation to NFC is left out, as in every GGUF file of these models: llama.cpp has
    none, so text that is not in that form gets other ids there.

    Raises:
        TokenizerError: llama.cpp has no such tokenizer, or no such rule.
    """
    spec = json.loads(tokenizer.text)
    vocabulary = _vocabulary(tokenizer, spec, rows or tokenizer.vocab_size)
    byte_level = (spec.get("decoder") or {}).get("type") == "ByteLevel"
    model = spec["model"]
    if model.get("type", "BPE") != "BPE" or not (byte_level or model.get("byte_fallback")):
        raise _refused(f"it is of the kind {tokenizer.kind!r}, which is no BPE on bytes")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise _refused(f"its model has {name!r}")
    described = (_byte_level if byte_level else _sentencepiece)(spec, vocabulary)
    roles = {
        f"tokenizer.ggml.{theirs}_token_id": vocabulary.ids[text]
        for ours, theirs in ROLES.items()
        if (text := _text(tokenizer.settings.get(f"{ours}_token"))) in vocabulary.ids
    }
    template = {"tokenizer.chat_template": tokenizer.chat_template}
    return {
        **described,
        "tokenizer.ggml.tokens": list(vocabulary.tokens),
        "tokenizer.ggml.token_type": [int(kind) for kind in vocabulary.types],
        **roles,
        "tokenizer.ggml.add_bos_token": tokenizer.adds_bos,
        **(template if tokenizer.chat_template is not None else {}),
    }


def _byte_level(spec: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    model = spec["model"]
    normalizer = spec.get("normalizer")
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise _refused(f"it changes texts before it cuts them ({normalizer.get('type')})")
    merges = [" ".join(pair) for pair in merges_of(model)]
    ignore_merges = bool(model.get("ignore_merges"))
    if not merges and not ignore_merges:
        name: str | None = "gpt-2"  # bytes alone: no rule can change anything
    else:
        name = name_of(spec.get("pre_tokenizer"), ignore_merges=ignore_merges)
    if name is None:
        raise _refused("llama.cpp has no name for the rule by which it cuts a text into words")
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.merges": merges,
    }


def _sentencepiece(spec: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The order of the merges as scores of the tokens that come of them."""
    escape = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepend = {"type": "Prepend", "prepend": SPACE}
    normalizer = spec.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    if spec.get("pre_tokenizer") is not None or steps not in ([escape], [prepend, escape]):
        raise _refused("its rule for spaces is not SentencePiece's of Llama 2")
    merges = list(merges_of(spec["model"]))
    ranks: dict[str, int] = {}
    for left, right in merges:
        ranks.setdefault(left + right, len(ranks))
    scores = [float(-ranks.get(token, len(ranks))) for token in vocabulary.tokens]
    entries = {"tokenizer.ggml.scores": scores}
    if set(merges_by_score(entries, vocabulary, "The tokenizer")) != set(merges):
        raise _refused("its merges are not all those that its tokens allow, as SentencePiece's are")
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        **entries,
        "tokenizer.ggml.add_space_prefix": prepend in steps,
    }


def _vocabulary(tokenizer: Tokenizer, spec: Mapping[str, Any], rows: int) -> Vocabulary:
    """All ids up to `rows`; those without a token are called [PAD...], as llama.cpp's tools do."""
    added = {token["id"]: token for token in spec.get("added_tokens", [])}
    names = {id: token for token, id in spec["model"]["vocab"].items()}
    names |= {id: token["content"] for id, token in added.items()}
    if rows < tokenizer.vocab_size:
        raise _refused(f"it has {tokenizer.vocab_size} tokens, but the model has {rows} embeddings")
    fallback = spec["model"].get("byte_fallback")
    unknown = spec["model"].get("unk_token") if fallback else None
    tokens, types = [], []
    for id in range(rows):
        kind = TokenType.NORMAL
        if id not in names:
            kind = TokenType.UNUSED
        elif names[id] == unknown:
            kind = TokenType.UNKNOWN
        elif id in added:
            kind = _added_type(added[id])
        elif fallback and _BYTE.fullmatch(names[id]):
            kind = TokenType.BYTE
        tokens.append(names.get(id, f"[PAD{id}]"))
        types.append(kind)
    if len(set(tokens)) < rows:
        raise _refused("two of its ids have the same text")
    if any("\0" in token for token in tokens):
        raise _refused("a token holds the character U+0000, at which llama.cpp ends it")
    return Vocabulary(tuple(tokens), tuple(types))


def _added_type(token: Mapping[str, Any]) -> TokenType:
    for flag in ("lstrip", "rstrip", "single_word"):
        if token.get(flag):
            raise _refused(f"its token {token['content']!r} is matched with {flag!r}")
    return TokenType.CONTROL if token.get("special") else TokenType.USER_DEFINED


def _text(token: object) -> object:
    return token.get("content") if isinstance(token, dict) else token


def _refused(why: str) -> TokenizerError:
    return TokenizerError(
        f"This tokenizer cannot be written into a GGUF file: {why}. llama.cpp would give other ids."
    )
