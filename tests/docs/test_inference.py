"""The Python of docs/inference.md runs, from top to bottom, on a model of a few numbers."""

import re
from pathlib import Path

import pytest

from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

PAGE = Path(__file__).parents[2] / "docs" / "inference.md"


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ModelConfig(vocab_size=257, context_length=128, n_layer=1, n_embd=32, n_head=2)
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    save_checkpoint(tmp_path / "runs" / "first", model=build_model(config), tokenizer=tokenizer)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert "EngineStats(" in said
    reused = re.search(r"3 new tokens; (\d+) tokens were not read again", said)
    assert reused and int(reused[1]) >= 0
