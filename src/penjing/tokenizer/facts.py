"""What a tokenizer.json says about its tokenizer."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer as Backend

from penjing.tokenizer.splits import ANYWHERE, WORD_END, ends_words, words_name

# BERT's words are parted by spaces, and so are Han characters before it looks for words.
_BERT_END = re.compile(r"(?<=[A-Za-z一-龥])(?=[ 一-龥])")


def kind_of(spec: Mapping[str, Any]) -> str:
    """A name of `KINDS`, or the model's type, in lower case.

    "char" and "byte" are just those that `train` makes: each character or byte for itself.
    """
    match spec:
        case {
            "normalizer": None,
            "pre_tokenizer": None
            | {"type": "ByteLevel", "use_regex": False, "add_prefix_space": False} as splitter,
            "model": {
                "type": "BPE",
                "merges": [],
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
            },
        }:
            return "char" if splitter is None else "byte"
    return str(spec["model"].get("type", "BPE")).lower()


def safe_boundary(spec: Mapping[str, Any]) -> re.Pattern[str] | None:
    """Where a long text may be cut without changing its ids; None: nowhere that we know."""
    if kind_of(spec) in ("char", "byte"):
        return ANYWHERE
    splitter = spec.get("pre_tokenizer")
    match spec.get("normalizer"), splitter:
        case {"type": "BertNormalizer", "handle_chinese_chars": True}, {"type": "BertPreTokenizer"}:
            return _BERT_END
        # Nothing composes over such a place, so NFC, which Qwen's own tokenizers begin with, may do
        case None | {"type": "NFC"} | {"type": "Sequence", "normalizers": []}, _:
            return WORD_END if ends_words(splitter) or words_name(splitter) else None
    return None


def largest_id(spec: Mapping[str, Any], backend: Backend) -> int:
    """Of the model's own tokens; -1 where it has none."""
    vocabulary = spec["model"].get("vocab")
    if not isinstance(vocabulary, dict):  # a list of tokens with scores, of "Unigram"
        vocabulary = backend.get_vocab(with_added_tokens=False)
    return max(vocabulary.values(), default=-1)


def unknown_id(spec: Mapping[str, Any]) -> int | None:
    """The id of "<unk>", under whatever name; None: every text has tokens."""
    model = spec["model"]
    vocabulary = model.get("vocab")
    named = isinstance(vocabulary, dict)
    id: int | None = vocabulary.get(model.get("unk_token")) if named else model.get("unk_id")
    return id


def merges_of(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The pairs that a BPE merges, best first; older files write the two tokens as one text."""
    for merge in model.get("merges", ()):
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        yield left, right


def for_plain_text(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The same tokenizer without its added tokens: for texts in which they are but text.

    Nor does a Unigram model, or one of whole words, find a special token ("</s>") among its pieces.
    """
    special = {token["content"] for token in spec.get("added_tokens", ()) if token["special"]}
    model = spec["model"]
    match model:
        case {"type": "Unigram", "vocab": list(pieces)}:  # no text has a piece of no characters
            pieces = [["" if piece in special else piece, score] for piece, score in pieces]
            model = {**model, "vocab": pieces}
        case {"type": "WordPiece" | "WordLevel", "vocab": dict(words)}:
            special.discard(model.get("unk_token"))
            words = {word: id for word, id in words.items() if word not in special}
            model = {**model, "vocab": words}
    return {**spec, "model": model, "added_tokens": []}
