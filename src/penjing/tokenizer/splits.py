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
HAN_PIECE = 12  # characters
WORD_PIECE = 64

_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"  # English words cut short
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


@dataclass(frozen=True)
class SplitRule:
    """One rule: regular expressions whose matches are the words.

    Where there are several, each cuts the pieces that the one before it left: its matches, and what
    lies between them.
    """

    patterns: tuple[str, ...]
    digits: int | None  # the most digits that stand in one word; None: any number
    source: str  # whose patterns they are
    llama_cpp: str  # its `tokenizer.ggml.pre` in a GGUF file

    @property
    def pattern(self) -> str:
        """The expression of a rule that has but one."""
        (pattern,) = self.patterns
        return pattern


SPLITS: Table[SplitRule] = Table(
    "split rule",
    {
        "qwen2": SplitRule(
            (rf"{_SHORT}|{_WORD}|\p{{N}}|{_REST}",),
            digits=1,
            source="Qwen2, Qwen2.5 and Qwen3, tokenizer.json",
            llama_cpp="qwen2",
        ),
        "gpt2": SplitRule(
            (_GPT2,),
            digits=None,
            source="GPT-2, encoder.py; built into the ByteLevel step of its tokenizer.json",
            llama_cpp="gpt-2",
        ),
        "llama3": SplitRule(
            (rf"{_SHORT}|{_WORD}|\p{{N}}{{1,3}}|{_REST}",),
            digits=3,
            source="Llama 3, tokenizer.json, after cl100k",
            llama_cpp="llama-bpe",
        ),
        # llama.cpp simplifies it where letters are neither capital nor small; the others are exact.
        "gpt4o": SplitRule(
            (
                rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_SHORT}?"
                rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_SHORT}?"
                r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
            digits=3,
            source="o200k, tiktoken's openai_public.py: a capital letter begins a word",
            llama_cpp="gpt-4o",
        ),
        "smollm": SplitRule(
            (r"\p{N}", _GPT2),
            digits=1,
            source="SmolLM and SmolLM2, tokenizer.json",
            llama_cpp="smollm",
        ),
        "deepseek3": SplitRule(
            (
                r"\p{N}{1,3}",
                "[一-龥぀-ゟ゠-ヿ]+",
                "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
                r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
            digits=3,
            source="DeepSeek-V3 and R1, tokenizer.json: a run of Han and kana is a word",
            llama_cpp="deepseek-v3",
        ),
    },
)

# tiktoken's cl100k: Llama 3's rule, made after an older form of it, but white space at the end of a
# text is one word. llama.cpp has no name for it.
CL100K = SPLITS["llama3"].pattern.replace(r"|\s*[\r\n]+", r"|\s+\z|\s*[\r\n]+")

# Where every rule above ends one word and begins the next, whatever follows, so that a long text
# may be cut and encoded piece by piece: between a lone line feed and a visible character (but a
# slash), and between a letter and what is none (but a quote). (The letters named are those of every
# Unicode version.)
WORD_END = re.compile(r"(?<=\S\n)(?=[^\s/])|(?<=[A-Za-z一-龥])(?=[\x00-&(-@\[-`{-\x7f，。])")
LINE_END = re.compile(r"(?<=\S\n)(?=[^\s/])")  # the first of the two
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
    """The pre-tokenizer that is saved: GPT-2's pattern is the one built into the ByteLevel step."""
    patterns = SPLITS[name].patterns
    built_in = patterns[-1] == _GPT2
    steps = [*map(_isolate, patterns[:-1] if built_in else patterns), _bytes(use_regex=built_in)]
    return steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)


def training_splitter(name: str, han: HanRule) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of training: the rule, and then long words and Han runs cut further.

    With han="char" each Han character is a word of its own, so no merge joins two of them. What
    was trained is always *encoded* with `encoding_splitter`, here and in every other runtime: a
    Han run is one word there, but without such merges no token can hold two of its characters.
    """
    return pre_tokenizers.Sequence([*training_words(name, han), _bytes()])


def training_words(name: str, han: HanRule) -> list[pre_tokenizers.PreTokenizer]:
    """Its steps without the last one: they leave the words' characters as they are."""
    if han == "char":
        further = [_isolate(r"\p{Han}"), _isolate(rf"[\s\S]{{1,{WORD_PIECE}}}")]
    else:
        before, run = rf"[^\p{{Han}}]{{0,{WORD_PIECE}}}", rf"\p{{Han}}{{1,{HAN_PIECE}}}"
        further = [_isolate(rf"{before}{run}|[^\p{{Han}}]{{1,{WORD_PIECE}}}")]
    return [*word_splitters(name), *further]


def word_splitters(name: str) -> list[pre_tokenizers.PreTokenizer]:
    """The steps that cut a text into the rule's words, and leave their characters as they are."""
    return list(map(_isolate, SPLITS[name].patterns))


def split_name(pre_tokenizer: Mapping[str, Any] | None) -> str | None:
    """The name of the rule that a tokenizer.json's "pre_tokenizer" follows; None if not ours."""
    return _named(byte_patterns(pre_tokenizer))


def scanner_name(pre_tokenizer: Mapping[str, Any] | None) -> str | None:
    """The same for compiled code, which knows tiktoken's own form of "cl100k" besides."""
    patterns = byte_patterns(pre_tokenizer)
    return "cl100k" if patterns == (CL100K,) else _named(patterns)


def byte_patterns(pre_tokenizer: Mapping[str, Any] | None) -> tuple[str | None, ...]:
    """The expressions of a "pre_tokenizer" that makes bytes at last; none of another one."""
    step = pre_tokenizer or {}
    steps = step.get("pretokenizers", [step])
    match steps[-1] if steps else {}:
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": bool(built_in)}:
            return (*map(_pattern, steps[:-1]), *([_GPT2] if built_in else []))
    return ()


def ends_words(pre_tokenizer: Mapping[str, Any] | None) -> bool:
    """Whether the words of a tokenizer.json's "pre_tokenizer" are known to end at `WORD_END`."""
    return split_name(pre_tokenizer) is not None or CL100K in map(
        _pattern, (pre_tokenizer or {}).get("pretokenizers", [])
    )


def words_name(pre_tokenizer: Mapping[str, Any] | None) -> str | None:
    """The same for a "pre_tokenizer" that is nothing but the rule's `word_splitters`."""
    step = pre_tokenizer or {}
    return _named(tuple(map(_pattern, step.get("pretokenizers", [step]))))


def _named(patterns: tuple[str | None, ...]) -> str | None:
    return next((name for name, rule in SPLITS.items() if rule.patterns == patterns), None)


def _pattern(step: Mapping[str, Any]) -> str | None:
    """The expression whose matches a step of a "pre_tokenizer" makes words; None: it has none."""
    match step:
        case {
            "type": "Split",
            "pattern": {"Regex": str(pattern)},
            "behavior": "Isolated",
            "invert": False,
        }:
            return pattern.replace("\r", r"\r").replace("\n", r"\n")  # some files hold these bare
        case {"type": "Digits", "individual_digits": True}:
            return r"\p{N}"
    return None


def _isolate(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def _bytes(*, use_regex: bool = False) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=use_regex)
