"""The tokenizer.json of a vocabulary of another form: a BPE, in the words of `tokenizers`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = Mapping[str, Any]


def tokenizer_json(
    model: Part,
    added_tokens: Sequence[Part],
    *,
    normalizer: Part | None = None,
    pre_tokenizer: Part | None = None,
    post_processor: Part | None = None,
    decoder: Part | None = None,
) -> dict[str, Any]:
    """The whole file."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }


def bpe(
    vocabulary: Mapping[str, int], merges: Iterable[Sequence[str]], **settings: Any
) -> dict[str, Any]:
    """The "model": ids by token, and pairs of tokens, the best first."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        **settings,
        "vocab": vocabulary,
        "merges": merges,
    }


def added_token(id: int, content: str, *, special: bool = True) -> dict[str, Any]:
    """A token that is cut out of a text before anything else; a special one is not shown."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": content, **flags, "special": special}


def byte_level(*, use_regex: bool = False) -> dict[str, Any]:
    """The "decoder" of a BPE on bytes, and the end of its "pre_tokenizer".

    Args:
        use_regex: cut the text by GPT-2's own pattern.
    """
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": use_regex,
    }
