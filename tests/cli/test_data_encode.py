"""`penjing data encode`, and `penjing pretrain` on what it makes."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from penjing.data.shards.reading import Shards
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

TEXT = "".join(f"{n}: the cat sat on the mat. 床前明月光，疑是地上霜。\n" for n in range(300))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A text, and a tokenizer."""
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    train_tokenizer([TEXT], TokenizerConfig(vocab_size=300)).save(tmp_path / "tokenizer")
    return tmp_path


def test_encodes_and_says_what_is_there(penjing, folder: Path) -> None:
    result = penjing("data", "encode", "a.txt", "--tokenizer", "tokenizer", "--out", "shards")
    assert result.code == 0, result.err
    index = Shards(folder / "shards").index
    assert f"training   1 document, 18.7 kB, {index.train.tokens:,} tokens, " in result.out
    assert "\nshards     " in result.out and "of uint16 in shards\n" in result.out
    assert "Next: penjing pretrain text --data.sources shards" in result.out
    whole = ["--validation-fraction", "0", "--out", "all"]
    result = penjing("data", "encode", "a.txt", "--tokenizer", "tokenizer", *whole)
    assert "\nvalidation" not in result.out and "Next:" not in result.out
    assert "There is no validation part. A run needs one" in result.out
    again = penjing("data", "encode", "a.txt", "--tokenizer", "tokenizer", "--out", "shards")
    assert again.code == 1 and "shards exists already" in again.err


def test_a_run_on_shards_needs_no_word_about_the_tokenizer(penjing, folder: Path) -> None:
    penjing("data", "encode", "a.txt", "--tokenizer", "tokenizer", "--out", "shards")
    words = ["--data.sources", "shards", "--train.steps", "1", "--train.batch-size", "2"]
    sizes = ["--model.context-length", "16", "--train.sample-tokens", "2", "--depth", "1"]
    heads = ["--model.n-head", "2", "--model.n-kv-head", "1"]
    result = penjing("pretrain", "text", *words, *sizes, *heads, "--out", "run")
    assert result.code == 0, result.err
    assert "tokenizer  bpe, 300 tokens" in result.out
    other = penjing("pretrain", "text", *words, "--tokenizer.vocab-size", "500", "--out", "other")
    assert other.code == 1
    assert "tokenizer.vocab_size = 500 (there 300)" in other.err and other.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.txt"], "There is no file or folder nowhere.txt"),
        (["a.txt", "--validation-fraction", "0.9"], "validation_fraction must be from 0 to 0.5"),
        (["gbk.txt"], "gbk.txt, line 2, byte 11: byte 0xFF belongs to no character"),
    ],
)
def test_what_cannot_be_encoded_is_said(penjing, folder: Path, words, said: str) -> None:
    common = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生。\n"
    raw = f"床前明月光\n{common * 9}".encode("gb18030")
    (folder / "gbk.txt").write_bytes(raw[:11] + b"\xff" + raw[11:])
    result = penjing("data", "encode", *words, "--tokenizer", "tokenizer", "--out", "shards")
    assert result.code == 1 and result.err.count("\n") == 1
    assert said in result.err
    assert not (folder / "shards").exists()


def test_ctrl_c_keeps_what_is_done(
    folder: Path, process: Callable[..., "Popen[str]"], penjing
) -> None:
    rows = (json.dumps({"text": f"{n} {TEXT}"}, ensure_ascii=False) for n in range(800))
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")  # some tasks
    words = ["data", "encode", "rows.jsonl", "--tokenizer", "tokenizer", "--out", "shards"]
    running = process(*words, "--workers", "1")
    tasks = folder / "shards.partial" / "tasks"
    deadline = time.monotonic() + 60
    while not list(tasks.glob("0*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Interrupted. What is done is kept in shards.partial" in out
    assert list(tasks.glob("0*.json")) and not (folder / "shards").exists()
