"""The tokenizer in a GGUF file's metadata, as a tokenizer.json: the same ids as llama.cpp."""

import json
from collections.abc import Mapping
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.core.table import Table, suggest
from penjing.formats.gguf.pre_tokenizers import pre_tokenizer_of, to_json
from penjing.formats.gguf.vocabulary import (
    END_TOKENS,
    TokenType,
    Vocabulary,
    merges_by_score,
    read_merges,
    read_vocabulary,
)
from penjing.formats.tokenizer_json import added_token, bpe, byte_level, tokenizer_json
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.tokenizer import Tokenizer

SPACE = "▁"  # SentencePiece's sign for a space

_END_KEYS = ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")
ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}  # ours, and llama.cpp's


def tokenizer_from_metadata(
    metadata: Mapping[str, Any], source: str = "GGUF", vocabulary: Vocabulary | None = None
) -> Tokenizer:
    """A `Tokenizer` from the entries `tokenizer.*` of a GGUF file.

    Control and unknown tokens are special; user-defined ones are added tokens that are not.
    `source` names the file in errors. The `vocabulary` is read, unless it was read before.

    Raises:
        TokenizerError: an entry is missing or damaged, or the tokenizer is of a kind or has a rule
            that is unknown here.
    """
    model = metadata.get("tokenizer.ggml.model")
    if not isinstance(model, str) or model not in KINDS:
        raise TokenizerError(
            f"{source}: tokenizer.ggml.model is {model!r:.40}; such a tokenizer cannot be read."
            f"{suggest(str(model)[:40], list(KINDS))}"
        )
    vocabulary = vocabulary or read_vocabulary(metadata, source)
    spec = KINDS[model](metadata, vocabulary, source)
    roles = {
        f"{ours}_token": _role(metadata, theirs, vocabulary, source)
        for ours, theirs in ROLES.items()
    }
    if _adds_bos(metadata, source) and roles["bos_token"] is not None:
        spec["post_processor"] = _before(roles["bos_token"], vocabulary)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **roles,
        "add_bos_token": "post_processor" in spec,
        "clean_up_tokenization_spaces": False,
    }
    if (template := _template(metadata, source)) is not None:
        settings["chat_template"] = template
    whole = tokenizer_json(added_tokens=_added_tokens(vocabulary), **spec)
    text = json.dumps(whole, ensure_ascii=False, check_circular=False)
    return Tokenizer(text, settings, source=source, spec=whole)


def end_ids(
    metadata: Mapping[str, Any], source: str = "GGUF", vocabulary: Vocabulary | None = None
) -> list[int]:
    """The tokens that end an answer: those that the file names, and those known by their text.

    Raises:
        TokenizerError: the vocabulary is damaged.
    """
    vocabulary = vocabulary or read_vocabulary(metadata, source)
    given = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in _END_KEYS]
    named = {id for id in given if isinstance(id, int)}
    texts = {vocabulary.ids.get(token) for token in END_TOKENS}
    # OpenAI's harmony format: "<|end|>" ends a part of an answer there, not the answer.
    if {"<|return|>", "<|call|>"} <= vocabulary.ids.keys():
        texts.discard(vocabulary.ids.get("<|end|>"))
    size = len(vocabulary.tokens)
    return sorted(id for id in named | texts if id is not None and 0 <= id < size)


def _byte_level(metadata: Mapping[str, Any], vocabulary: Vocabulary, source: str) -> dict[str, Any]:
    """GPT-2's BPE on bytes."""
    rule = pre_tokenizer_of(metadata.get("tokenizer.ggml.pre"), source)
    known = vocabulary.ids
    # Some vocabularies lack bytes that their makers never saw. Such a byte is lost; as in
    # llama.cpp, what stands around it is not joined.
    lost = "".join(char for char in BYTE_TO_CHAR if char not in known)
    return {
        "pre_tokenizer": to_json(rule, lost),
        "decoder": byte_level(),
        "model": bpe(
            known,
            read_merges(metadata, vocabulary, source),
            ignore_merges=rule.ignore_merges,
        ),
    }


def _sentencepiece(
    metadata: Mapping[str, Any], vocabulary: Vocabulary, source: str
) -> dict[str, Any]:
    """SentencePiece's BPE: on characters, and on bytes where a character has no token.

    The whole text is one word. A space is put before it, and after each special token too.
    """
    known = vocabulary.ids
    if missing := [byte for byte in range(256) if f"<0x{byte:02X}>" not in known]:
        raise TokenizerError(
            f"{source}: the vocabulary lacks {len(missing)} of the 256 byte tokens, such as "
            f"<0x{missing[0]:02X}>: not every text could be encoded."
        )
    prefix = _flag(metadata, "add_space_prefix", True, source)
    unknown = _role(metadata, "unknown", vocabulary, source)
    escape = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    unescape = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    return {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": SPACE}] * bool(prefix) + escape,
        },
        "decoder": {
            "type": "Sequence",
            "decoders": unescape
            + [{"type": "ByteFallback"}, {"type": "Fuse"}]
            + strip * bool(prefix),
        },
        "model": bpe(
            known,
            merges_by_score(metadata, vocabulary, source),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        ),
    }


KINDS = Table("tokenizer of a GGUF file", {"gpt2": _byte_level, "llama": _sentencepiece})


def _added_tokens(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Those that a text may not be cut into by chance, and those of users."""
    added = vocabulary.of_type(TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)
    return [
        added_token(
            id,
            vocabulary.tokens[id],
            special=vocabulary.types[id] != TokenType.USER_DEFINED,
        )
        for id in added
    ]


def _role(
    metadata: Mapping[str, Any], name: str, vocabulary: Vocabulary, source: str
) -> str | None:
    """The text of the first, end, unknown or padding token."""
    key = f"tokenizer.ggml.{name}_token_id"
    id = metadata.get(key)
    if id is None:
        if metadata["tokenizer.ggml.model"] != "llama":
            return None
        # SentencePiece's own ids; old files leave them out.
        id = {"bos": 1, "eos": 2, "unknown": 0}.get(name)
        return None if id is None or id >= len(vocabulary.tokens) else vocabulary.tokens[id]
    if not isinstance(id, int) or not 0 <= id < len(vocabulary.tokens):
        raise TokenizerError(
            f"{source}: {key} is {id!r:.40}, but the vocabulary has the ids 0 to "
            f"{len(vocabulary.tokens) - 1}."
        )
    return vocabulary.tokens[id]


def _flag(metadata: Mapping[str, Any], name: str, default: bool | None, source: str) -> bool | None:
    said = metadata.get(f"tokenizer.ggml.{name}", default)
    if said is not None and not isinstance(said, bool):
        raise TokenizerError(
            f"{source}: tokenizer.ggml.{name} is {said!r:.40}, neither true nor false."
        )
    return said


def _adds_bos(metadata: Mapping[str, Any], source: str) -> bool:
    said = _flag(metadata, "add_bos_token", None, source)
    if said is not None:
        return said
    if metadata["tokenizer.ggml.model"] == "llama":
        return True
    return pre_tokenizer_of(metadata.get("tokenizer.ggml.pre"), source).add_bos


def _before(token: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """The post-processor by which other programs put the first token before a text."""
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    single = [first, {"Sequence": {"id": "A", "type_id": 0}}]
    second = [
        {"SpecialToken": {"id": token, "type_id": 1}},
        {"Sequence": {"id": "B", "type_id": 1}},
    ]
    ids = {token: {"id": token, "ids": [vocabulary.ids[token]], "tokens": [token]}}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + second,
        "special_tokens": ids,
    }


def _template(metadata: Mapping[str, Any], source: str) -> str | None:
    template = metadata.get("tokenizer.chat_template")
    if template is not None and not isinstance(template, str):
        raise TokenizerError(f"{source}: tokenizer.chat_template is no text.")
    return template
