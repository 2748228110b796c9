"""Texts for the doctor: each document says something of its own."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

WORDS = [f"{a}{b}{c}" for a in "bdfglmnprst" for b in "aeiou" for c in ("n", "r", "st", "ck", "m")]


def sentence(rng: random.Random, n: int = 12) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(n)).capitalize() + "."


def story(seed: int, sentences: int = 20) -> str:
    """Some 1,200 characters that no other story has."""
    rng = random.Random(seed)
    return f"The story number {seed} of the house.\n" + " ".join(
        sentence(rng) for _ in range(sentences)
    )


Write = Callable[[str, Sequence[str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write texts as rows of a .jsonl file."""

    def rows(name: str, texts: Sequence[str]) -> Path:
        path = tmp_path / name
        lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return rows


@pytest.fixture(scope="session")
def stories() -> list[str]:
    return [story(n) for n in range(120)]
