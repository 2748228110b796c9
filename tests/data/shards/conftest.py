"""A tokenizer, and text of every sort that can be encoded."""

import gzip
import json
import random
from pathlib import Path

import pytest

from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

LINES = [
    "the cat sat on the mat, and the cat's hat was flat.",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "def window(x): return x * 12 + 345  # 中文 and 😀",
    "    indented,\tand more\u3000space ",
]
ORDINARY = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也"
    "你对生能而子那得于着下自之年过。\n"
)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(LINES * 3, TokenizerConfig(vocab_size=320))


def prose(n: int, seed: int = 0) -> str:
    """`n` lines, no two stretches alike."""
    rng = random.Random(seed)
    return "".join(f"{rng.choice(LINES)} {rng.randrange(10**6)}\n" for _ in range(n))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Rows with duplicates, plain text, GB18030, UTF-16, a gzip file, an empty file."""
    folder = tmp_path / "texts"
    folder.mkdir()
    rows = [prose(5, seed) for seed in range(60)]
    rows += [f" {row}\n" for row in rows[:9]] + rows[20:25] + ["", " \n"]
    random.Random(1).shuffle(rows)
    lines = [json.dumps({"text": row}, ensure_ascii=i % 2 == 0) for i, row in enumerate(rows)]
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "b.txt").write_bytes(prose(200, 7).replace("\n", "\r\n").encode("utf-8-sig"))
    (folder / "c.txt").write_text("")
    (folder / "d.txt").write_bytes((ORDINARY * 60).encode("gb18030"))
    (folder / "e.txt").write_text(prose(20, 8), encoding="utf-16")
    (folder / "f.txt.gz").write_bytes(gzip.compress(prose(90, 9).encode()))
    return folder
