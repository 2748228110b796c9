"""How a tokenizer is trained: settings only, checked when training begins."""

from dataclasses import dataclass
from typing import Literal

KindName = Literal["bpe", "char", "byte"]
SplitName = Literal["qwen2", "gpt2", "llama3"]
HanRule = Literal["run", "char"]


@dataclass(frozen=True)
class TokenizerConfig:
    """What vocabulary to make of a text. `split`, `han` and `sample_bytes` are for "bpe" alone."""

    kind: KindName = "bpe"
    # Tokens of a "bpe" vocabulary, special ones included: exactly so many, or an error.
    # "char" and "byte" have the size that the text or the 256 bytes give them.
    vocab_size: int = 4096
    split: SplitName = "qwen2"  # how a text is cut into words, which no token spans
    han: HanRule = "run"  # "char": no token holds two Han characters; "run": words and phrases may
    special_tokens: tuple[str, ...] = ("<|endoftext|>",)  # the first one ends a document
    # Merges are learned from at most this much UTF-8. With han="run", the trainer needs some 80
    # bytes of memory for each byte of Chinese: 0.8 GB for this default.
    sample_bytes: int = 10_000_000
