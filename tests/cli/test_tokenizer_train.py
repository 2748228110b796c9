"""`penjing tokenizer train`: what it writes, what it says, and what it refuses."""

import gzip
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from penjing.tokenizer.record import load_record
from penjing.tokenizer.tokenizer import Tokenizer

HAN = "".join(chr(0x4E00 + i * i % 3000) for i in range(400_000))


def test_others_read_what_it_writes(penjing, text_file, tmp_path):
    result = penjing("tokenizer", "train", str(text_file), "--vocab-size", "300", "--out", "tok")
    assert result.code == 0, result.err
    ours, theirs = Tokenizer.load("tok"), AutoTokenizer.from_pretrained(tmp_path / "tok")
    text = text_file.read_text(encoding="utf-8")
    ids = ours.encode(text)
    assert ours.vocab_size == 300 and theirs(text)["input_ids"] == ids
    per_token = len(text.encode()) / len(ids)
    assert f"this text  {len(ids):,} tokens, {per_token:.2f} bytes a token" in result.out
    assert "sample " not in result.out
    record = load_record("tok", ours)
    assert record is not None and len(record.merges) == 300 - 257
    assert json.loads(Path("tok", "merges.json").read_text())["sampled"] is False
    next_words = result.out.rpartition("Next: penjing ")[2].split()
    assert penjing(*next_words).code == 0


@pytest.mark.parametrize(
    ("kind", "size"), [("wordpiece", 200), ("unigram", 320), ("char", 0), ("byte", 0)]
)
def test_every_kind(penjing, text_file, kind, size):
    words = ["tokenizer", "train", str(text_file), "--kind", kind, "--vocab-size", str(size)]
    result = penjing(*words, "--out", "tok")
    assert result.code == 0, result.err
    assert "tokens, in tok" in result.out and not Path("tok", "merges.json").exists()
    assert penjing("tokenizer", "show", "the cat", "--tokenizer", "tok").code == 0


def test_what_was_sampled_is_said(penjing, tmp_path):
    (tmp_path / "han.txt").write_text(HAN, encoding="utf-8")  # 1.2 MB, one line
    words = ["tokenizer", "train", "han.txt", "--vocab-size", "300", "--sample-bytes", "200000"]
    result = penjing(*words, "--out", "tok")
    assert result.code == 0, result.err
    assert "sample     197 kB of 1.2 MB, drawn evenly" in result.out
    assert "--sample-bytes" in result.out
    assert json.loads(Path("tok", "merges.json").read_text())["read"] == 1_200_000


def test_large_texts_are_measured_on_a_part(penjing, tmp_path, monkeypatch):
    monkeypatch.setattr("penjing.cli.verbs.tokenizer.train.MEASURED", 100_000)
    (tmp_path / "han.txt").write_text(HAN, encoding="utf-8")
    words = ["tokenizer", "train", "han.txt", "--vocab-size", "300", "--sample-bytes", "100000"]
    assert "this text  1.2 MB; of it 98.3 kB are " in penjing(*words, "--out", "tok").out


def test_several_sources_of_several_types(penjing, tmp_path, text_file):
    with gzip.open(tmp_path / "more.txt.gz", "wt", encoding="utf-8") as file:
        file.write("wholly other words, 完全不同的话\n" * 50)
    (tmp_path / "rows.jsonl").write_text('{"text": "a row of zebras"}\n' * 30, encoding="utf-8")
    words = ["tokenizer", "train", str(text_file), "more.txt.gz", "rows.jsonl", "--kind", "char"]
    result = penjing(*words, "--out", "tok")
    assert result.code == 0, result.err
    tokenizer = Tokenizer.load("tok")
    assert all(tokenizer.id_of(char) is not None for char in "床完z")


def test_errors(penjing, text_file, tmp_path):
    def error(*words: str) -> str:
        result = penjing("tokenizer", "train", *words)
        assert result.code == 1 and "Traceback" not in result.err
        return " ".join(result.err.split())

    (tmp_path / "blank.txt").write_text(" \n \n")
    (tmp_path / "here").mkdir()
    assert "exists already" in error(str(text_file), "--out", "here")
    assert "blank.txt holds no text" in error(str(text_file), "blank.txt", "--out", "new")
    assert "no file or folder missing.txt" in error("missing.txt", "--out", "new")
    large = error(str(text_file), "--vocab-size", "90000", "--out", "new")
    assert "larger than the text allows" in large and "Choose vocab_size" in large
    assert "at least 257" in error(str(text_file), "--vocab-size", "9", "--out", "new")
    assert "sample_bytes must be at least 1" in error(
        str(text_file), "--sample-bytes", "0", "--out", "new"
    )
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".*.tmp"))


def test_ctrl_c_leaves_nothing(process, tmp_path):
    running = process("tokenizer", "train", "-", "--out", "tok", stdin=subprocess.PIPE)
    running.stdin.write(HAN)  # and it waits for more
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    try:
        _, err = running.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    assert running.returncode == 130 and "Traceback" not in err
    assert not list(tmp_path.iterdir())
