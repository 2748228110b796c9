"""docs/shards.md: its Python runs, and its figures are those of the benchmark."""

import json
import re
from pathlib import Path

import pytest

from penjing.data.shards.encode import encode_shards
from penjing.data.shards.index import DOCUMENT
from penjing.data.shards.plan import ShardConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "shards.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = train_tokenizer([PAGE], TokenizerConfig(vocab_size=300))
    (tmp_path / "runs" / "first" / "model").mkdir(parents=True)
    tokenizer.save(tmp_path / "runs" / "first" / "model")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "page.txt").write_text(PAGE, encoding="utf-8")
    encode_shards(["texts"], tokenizer, "shards", ShardConfig(0.01), workers=1)
    whole, ours, scale = BLOCKS
    found: dict[str, object] = {}
    exec(whole + ours, found)
    assert list(found["first"]) == list(found["ids"][:1024])
    assert found["ends"][-1] == len(found["shards"].train)
    if "datatrove" in scale:
        pytest.importorskip("datatrove")
    (tmp_path / "shards").rename(tmp_path / "ours")
    exec(scale, {"__name__": "__main__"})
    for path in (tmp_path / "ours").iterdir():
        assert (tmp_path / "shards" / path.name).read_bytes() == path.read_bytes()


def test_a_row_has_the_size_that_the_page_says() -> None:
    assert f"a row of {DOCUMENT.itemsize} bytes" in PAGE


def test_the_figures_are_those_of_the_benchmark() -> None:
    path = ROOT / "benchmarks" / "results" / "tokenizers.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["shards"]["texts"]
    for row in rows:
        figures = [
            *(f"{row[f'{name}_mb_s']:.1f}" for name in ("penjing", "tokenizers")),
            *(f"{row[f'{name}_mb_per_processor_s']:.1f}" for name in ("penjing", "tokenizers")),
            *(f"{row[f'{name}_peak_mb']}" for name in ("penjing", "tokenizers")),
        ]
        line = f"| {row['text']}, {row['mb']:.0f} MB | {' | '.join(figures)} |"
        assert line in PAGE, line
