"""`penjing tokenizer`."""

import pytest
from transformers import AutoTokenizer

from penjing.tokenizer.tokenizer import Tokenizer


@pytest.fixture
def trained(penjing, text_file):
    words = ["tokenizer", "train", str(text_file), "--vocab-size", "300", "--out", "tok"]
    result = penjing(*words)
    assert result.code == 0, result.err
    return result


def test_train_writes_what_others_read(trained, tmp_path, text_file):
    ours = Tokenizer.load(tmp_path / "tok")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "tok")
    text = text_file.read_text(encoding="utf-8")
    assert ours.vocab_size == 300 and theirs(text)["input_ids"] == ours.encode(text)
    n_tokens = len(ours.encode(text))
    assert (
        f"this text  {n_tokens:,} tokens, {len(text.encode()) / n_tokens:.2f} bytes" in trained.out
    )


def test_the_next_command_works(trained, penjing):
    words = trained.out.rpartition("Next: penjing ")[2].split()
    assert penjing(*words).code == 0


def test_errors(trained, penjing, text_file, tmp_path):
    taken = penjing("tokenizer", "train", str(text_file), "--out", "tok")
    assert taken.code == 1 and "exists already" in taken.err
    large = penjing("tokenizer", "train", str(text_file), "--vocab-size", "90000", "--out", "big")
    assert large.code == 1 and "larger than the text allows" in large.err
    assert penjing("tokenizer", "show", "a", "--tokenizer", "none").code == 1
    assert penjing("tokenizer", "shwo").code == 2
    assert not (tmp_path / "big").exists() and not list(tmp_path.glob(".*.tmp"))
