"""One small tokenizer of each kind, and the texts that are hard to get right."""

import pytest

from penjing.tokenizer.config import KindName, TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import KINDS, train_tokenizer

CORPUS = [
    "今天天气不错，我们去公园散步。人工智能正在改变世界，人工智能也会犯错。\n" * 4,
    "小处不可随便，不可随处小便。今天不错，明天也不错；天气好，心情好。\n" * 4,
    "Happiness and unhappiness are unevenly distributed. Don't worry, we'll see.\n\n" * 4,
    "def add(a, b):\n    return a + b  # 12345\n\n\nprint(add(1, 2))\r\n" * 4,
    "Mixed 中英文 text, Ünïcödé, Русский язык, ひらがな, 한국어, 👨‍👩‍👧‍👦 and 🎉.\n" * 4,
]

TRICKY = [
    "",
    " ",
    "unhappiness",
    "人工智能",
    "今天天气不错",
    "小处不可随便",
    "family: 👨‍👩‍👧‍👦, flag: 🇨🇳, skin: 👍🏽",
    "𠮷野家の𠮷",
    "  leading spaces, trailing  ",
    "tabs\t\tand\r\nnew\n\n\nlines \n ",
    "control \x00\x01\x1f\x7f\x85\u2028\ufeff chars",
    "中文English混合123テスト한국어العربية",
    "don't DON'T we'll 'tis n't",
    "e\u0301 is not \u00e9; \u212b is not \u00c5",
    "<|endoftext|> <unk> <0xE4> ▁ Ġ ##ing",
    "3.14159 1234567 ½ ٣",
    "\U0010ffff\ue000\ufffd",
    "a" * 300,
]


# What the corpus has room for: little beside the characters in WordPiece, much in the others.
SIZES: dict[KindName, int] = {"wordpiece": 190}


def train(kind: KindName) -> Tokenizer:
    return train_tokenizer(CORPUS, TokenizerConfig(kind=kind, vocab_size=SIZES.get(kind, 500)))


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    return CORPUS


@pytest.fixture(scope="session", params=list(KINDS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """One of every kind in the table."""
    return train(request.param)


@pytest.fixture(scope="session", params=[name for name, kind in KINDS.items() if kind.lossless])
def lossless(request: pytest.FixtureRequest) -> Tokenizer:
    return train(request.param)


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return train("bpe")


@pytest.fixture(scope="session")
def tricky_texts() -> list[str]:
    return TRICKY


@pytest.fixture(params=TRICKY, ids=ascii)
def tricky(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text
