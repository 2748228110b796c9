r"""Split rules: how a text is cut into words before merging, under names that llama.cpp knows.

The patterns are those of the models' own tokenizer.json, character for character, so that an
exported vocabulary runs under the rule already built into each runtime. Qwen2's file also
normalises to NFC; we do not, for then decode(encode(text)) would not always be the text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, pre_tokenizers

from penjing.core.table import Table
from penjing.tokenizer.config import HanRule

# Training cuts words longer than these, for a text without spaces is one long word, and the
# trainer's time and memory grow with it. Encoding never cuts.
_HAN_PIECE = 12  # characters
_WORD_PIECE = 64


@dataclass(frozen=True)
class SplitRule:
    """One rule: the regular expression whose matches are the words."""

    pattern: str
    source: str  # whose pattern it is
    llama_cpp: str  # its `tokenizer.ggml.pre` in a GGUF file


SPLITS: Table[SplitRule] = Table(
    "split rule",
    {
        "qwen2": SplitRule(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            source="Qwen2, Qwen2.5 and Qwen3, tokenizer.json: each digit is a word",
            llama_cpp="qwen2",
        ),
        "gpt2": SplitRule(
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            source="GPT-2, encoder.py; built into the ByteLevel step of its tokenizer.json",
            llama_cpp="gpt-2",
        ),
        "llama3": SplitRule(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            source="Llama 3, tokenizer.json, after cl100k: up to three digits are a word",
            llama_cpp="llama-bpe",
        ),
    },
)

# Where every rule above ends one word and begins the next, whatever follows, so that a long text
# may be cut and encoded piece by piece: between a lone line feed and a visible character, and
# between a letter and what is none. (The letters named are those of every Unicode version.)
WORD_END = re.compile(r"(?<=\S\n)(?=\S)|(?<=[A-Za-z一-龥])(?=[\x00-@\[-`{-\x7f，。])")
ANYWHERE = re.compile("")


def cut(text: str, size: int, boundary: re.Pattern[str]) -> Iterator[str]:
    """The text in pieces of at least `size` characters (but the last), cut where `boundary` is."""
    start = 0
    while len(text) - start > size:
        match = boundary.search(text, start + size)
        if match is None:
            break
        yield text[start : match.start()]
        start = match.start()
    yield text[start:]


def encoding_splitter(name: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer that is saved, in the very form that the model's own file has."""
    if name == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    return pre_tokenizers.Sequence([_isolate(SPLITS[name].pattern), _bytes()])


def training_splitter(name: str, han: HanRule) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of training: the rule, and then long words and Han runs cut further.

    With han="char" each Han character is a word of its own, so no merge joins two of them. What
    was trained is always *encoded* with `encoding_splitter`, here and in every other runtime: a
    Han run is one word there, but without such merges no token can hold two of its characters.
    """
    if han == "char":
        pieces = [_isolate(r"\p{Han}"), _isolate(rf"[\s\S]{{1,{_WORD_PIECE}}}")]
    else:
        before, run = rf"[^\p{{Han}}]{{0,{_WORD_PIECE}}}", rf"\p{{Han}}{{1,{_HAN_PIECE}}}"
        pieces = [_isolate(rf"{before}{run}|[^\p{{Han}}]{{1,{_WORD_PIECE}}}")]
    return pre_tokenizers.Sequence([_isolate(SPLITS[name].pattern), *pieces, _bytes()])


def split_name(pre_tokenizer: Mapping[str, Any] | None) -> str | None:
    """The name of the rule that a tokenizer.json's "pre_tokenizer" follows; None if not ours."""
    match pre_tokenizer:
        case {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False}:
            return "gpt2"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": pattern},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "use_regex": False, "add_prefix_space": False},
            ],
        }:
            return next((name for name, rule in SPLITS.items() if rule.pattern == pattern), None)
    return None


def _isolate(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def _bytes() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
