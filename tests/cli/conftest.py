"""The command line in this process, and models small enough to make for a test."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from penjing.cli.main import main
from penjing.model.checkpoint import Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


@dataclass(frozen=True)
class Result:
    """What a call of the program gave."""

    code: int
    out: str
    err: str


Penjing = Callable[..., Result]


@pytest.fixture
def penjing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Penjing:
    """`penjing WORDS...` in this process and a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["penjing"])
    monkeypatch.delenv("PENJING_DEBUG", raising=False)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> Result:
        capfd.readouterr()
        try:
            code = main(words)
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """`penjing WORDS...` as a process of its own."""

    def start(*words: str, stdin: int = subprocess.DEVNULL, **environment: str):
        return subprocess.Popen(
            [sys.executable, "-m", "penjing", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    return start


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Some English and Chinese, enough to split and train on."""
    path = tmp_path / "my.txt"
    lines = [f"{n}: the cat sat on the mat. 床前明月光，疑是地上霜。" for n in range(200)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with random weights and a byte tokenizer."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size, context_length=64, n_layer=1, n_embd=32, head_dim=16
    )
    lineage = Lineage("pretrain", data="ab" * 32, figures={"step": 7, "loss": 1.25})
    model = build_model(config, seed=1)
    save_checkpoint(path, model=model, tokenizer=tokenizer, lineage=(lineage,))
    return path


@pytest.fixture
def tiny(text_file: Path) -> tuple[str, ...]:
    """Overrides that make any recipe a run of seconds on `text_file`."""
    words = (
        "--tokenizer.kind byte --model.n-layer 1 --model.n-embd 32 --model.head-dim 16 "
        "--model.n-head 2 --model.n-kv-head 1 "
        "--model.context-length 32 --train.steps 6 --train.batch-size 4 --train.threads 1 "
        "--train.eval-every 3 --train.sample-every 0 --train.sample-tokens 8 "
        "--train.save-every 0 --train.precision float32 --data.sources"
    )
    return (*words.split(), str(text_file))


@pytest.fixture
def torch_alone(monkeypatch):
    """Without kernels, which need some time when they are compiled for the first time."""
    from penjing.kernels.support import support

    monkeypatch.setenv("PENJING_KERNELS", "off")
    support.cache_clear()
    yield
    support.cache_clear()  # what it says now holds for these tests alone
