r"""How a text is cut into words before merging, by llama.cpp's names (`tokenizer.ggml.pre`).

A GGUF file holds only the name; the patterns are built into each runtime. Here they are those of
the models' own tokenizer.json. Several patterns work one after the other: each cuts the pieces that
the one before it left.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.core.table import Table, suggest
from penjing.formats.tokenizer_json import byte_level
from penjing.tokenizer.splits import SPLITS, byte_patterns

_GPT2, _LLAMA3 = SPLITS["gpt2"].pattern, SPLITS["llama3"].pattern
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"  # English words cut short
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+", rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
_SLASHED = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"


@dataclass(frozen=True)
class PreTokenizer:
    """One rule, and what its name implies besides."""

    patterns: tuple[str, ...]
    # A word that is a token is that token, even where no merges lead to it.
    ignore_merges: bool = False
    add_bos: bool = False  # where the file does not say


_LLAMA3_RULE = PreTokenizer((_LLAMA3,), ignore_merges=True, add_bos=True)
_DIGITS_RULE = PreTokenizer(SPLITS["smollm"].patterns)
_GPT2_RULE = PreTokenizer((_GPT2,))
_QWEN2_RULE = PreTokenizer(SPLITS["qwen2"].patterns)
_CL100K_RULE = PreTokenizer((_LLAMA3,))  # Llama 3's pattern is that of cl100k
_GPT4O_RULE = PreTokenizer(SPLITS["gpt4o"].patterns)
_DEEPSEEK_3_RULE = PreTokenizer(SPLITS["deepseek3"].patterns)
_BLOOM_RULE = PreTokenizer((_BLOOM,))

PRE_TOKENIZERS: Table[PreTokenizer] = Table(
    "pre-tokenizer of a GGUF file",
    {
        **dict.fromkeys(
            ("gpt-2", "mpt", "olmo", "jais", "trillion", "phi-2", "gigachat"), _GPT2_RULE
        ),
        **dict.fromkeys(("exaone4", "mellum", "a.x-4.0", "granite-docling"), _GPT2_RULE),
        **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), _DIGITS_RULE),
        **dict.fromkeys(("exaone", "minerva-7b"), _DIGITS_RULE),
        **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1"), _LLAMA3_RULE),
        **dict.fromkeys(("pixtral", "midm-2.0", "lfm2"), _LLAMA3_RULE),
        **dict.fromkeys(("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), _CL100K_RULE),
        **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2"), _QWEN2_RULE),
        **dict.fromkeys(("stablelm2", "hunyuan", "solar-open", "grok-2"), _QWEN2_RULE),
        "qwen35": PreTokenizer(
            (
                rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
                r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            )
        ),
        "tekken": PreTokenizer(
            (rf"{_CASED[0]}|{_CASED[1]}|\p{{N}}|{_SLASHED}",), ignore_merges=True, add_bos=True
        ),
        **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "minimax-m2"), _GPT4O_RULE),
        **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm"), _DEEPSEEK_3_RULE),
        "falcon": PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")),
        **dict.fromkeys(("bloom", "poro-chat", "gpt3-finnish"), _BLOOM_RULE),
        "viking": PreTokenizer((_BLOOM, r"\p{N}")),
        "seed-coder": PreTokenizer(
            (
                rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}"
                r"| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
            )
        ),
        "bailingmoe": PreTokenizer(
            (
                rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
            )
        ),
        "minicpm5": PreTokenizer(
            (
                r"\p{N}{1,3}",
                rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}+|{_REST}",
            ),
            ignore_merges=True,
        ),
        "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    },
)


def pre_tokenizer_of(name: object, source: str) -> PreTokenizer:
    """The rule of a name.

    Raises:
        TokenizerError: the file names none, or one that is unknown here: another rule would give
            other ids, so none is guessed.
    """
    if not isinstance(name, str):
        raise TokenizerError(
            f"{source}: the metadata has no tokenizer.ggml.pre, the name of the rule that cuts a "
            "text into words. Convert the model anew: files without it are from before 2024, and "
            "their ids cannot be relied on."
        )
    if name not in PRE_TOKENIZERS:
        raise TokenizerError(
            f"{source}: tokenizer.ggml.pre is {name!r:.40}, a rule that is unknown here; with "
            f"another one the ids would be wrong.{suggest(name[:40], list(PRE_TOKENIZERS))}"
        )
    return PRE_TOKENIZERS[name]


def to_json(rule: PreTokenizer, lost: str = "") -> dict[str, Any]:
    """The "pre_tokenizer" of a tokenizer.json; GPT-2's pattern is the one built into ByteLevel.

    `lost` are bytes, as characters of GPT-2's alphabet, that the vocabulary has no token for: each
    becomes a word of its own.
    """
    last_is_gpt2 = rule.patterns[-1] == _GPT2
    cuts = rule.patterns[:-1] if last_is_gpt2 else rule.patterns
    steps = [_split(pattern) for pattern in cuts]
    steps.append(byte_level(use_regex=last_is_gpt2))
    if lost:
        steps.append(_split(f"[{re.escape(lost)}]"))
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def name_of(pre_tokenizer: Mapping[str, Any] | None, *, ignore_merges: bool) -> str | None:
    """llama.cpp's name of a tokenizer.json's rule; None if it has none, so that it is refused."""
    steps = (pre_tokenizer or {}).get("pretokenizers", [])
    if len(steps) > 1 and steps[-2].get("type") == "ByteLevel":
        pre_tokenizer = {"pretokenizers": steps[:-1]}  # without the words of lost bytes
    patterns = byte_patterns(pre_tokenizer)
    for name, rule in PRE_TOKENIZERS.items():
        if rule.patterns == patterns and rule.ignore_merges == ignore_merges:
            return name
    return None


def _split(pattern: str) -> dict[str, Any]:
    regex = {"Regex": pattern}
    return {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}
