"""How a tokenizer is trained: settings only, checked when training begins."""

from dataclasses import dataclass
from typing import Literal

KindName = Literal["bpe", "wordpiece", "unigram", "char", "byte"]
SplitName = Literal["qwen2", "gpt2", "llama3", "gpt4o", "smollm", "deepseek3"]
HanRule = Literal["run", "char"]


@dataclass(frozen=True)
class TokenizerConfig:
    """What vocabulary to make of a text. `split` and `han` are for "bpe" and "unigram"."""

    # "bpe": bytes, merged (GPT); "wordpiece": letters, merged, spaces lost (BERT); "unigram": the
    # likeliest pieces (SentencePiece); "char": characters; "byte": bytes.
    kind: KindName = "bpe"
    # Tokens of the vocabulary, special ones included: exactly so many, or an error.
    # "char" and "byte" have the size that the text or the 256 bytes give them.
    vocab_size: int = 4096
    # How a text is cut into words, which no token spans. Digits stand alone with "qwen2" and
    # "smollm", at most three together with "llama3", "gpt4o" and "deepseek3", any number with
    # "gpt2". With "deepseek3" a run of Han characters is a word of its own. llama.cpp knows all of
    # them; but it simplifies "gpt4o".
    split: SplitName = "qwen2"
    han: HanRule = "run"  # "char": no token holds two Han characters; "run": words and phrases may
    special_tokens: tuple[str, ...] = ("<|endoftext|>",)  # the first one ends a document
    # Tokens are learned from at most this much UTF-8. "bpe" needs some 30 bytes of memory for each
    # byte of Chinese, whose words hardly recur, and much less for other texts.
    sample_bytes: int = 10_000_000
    # The share of the text's characters that "wordpiece", "unigram" and "char" have tokens for: the
    # rarest beyond it have none. They are unknown then, and written as bytes by "unigram".
    coverage: float = 1.0
    lowercase: bool = False  # "wordpiece": lower case, and no accents, as BERT's "uncased" models
