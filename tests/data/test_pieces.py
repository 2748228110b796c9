"""Documents in pieces: nothing is lost, and the ids are those of the whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import DataError
from penjing.data import readers
from penjing.data.pieces import rejoined, stream_pieces
from penjing.data.readers import Part
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.splits import WORD_END
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

TEXT = "The cat's hat.\n/ and\n\n\n  so  \n\n今天天气不错，今天。\n" * 30


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return train_tokenizer([TEXT], TokenizerConfig(vocab_size=280))


@given(st.lists(st.integers(0, len(TEXT)), max_size=20), st.booleans())
def test_the_ids_of_the_pieces_are_those_of_the_whole(
    bpe: Tokenizer, cuts: list[int], known: bool
) -> None:
    ends = [*sorted(cuts), len(TEXT)]
    parts = [
        Part(TEXT[start:end], "x", ends=end == len(TEXT) and n == len(ends) - 1)
        for n, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]
    pieces = list(rejoined([*parts, Part("new", "y")], WORD_END if known else None))
    assert [piece.source for piece in pieces if piece.ends] == ["x", "y"]
    first = [piece.text for piece in pieces if piece.source == "x"]
    assert "".join(first) == TEXT
    assert len(first) == 1 or known
    assert [id for text in first for id in bpe.encode(text)] == bpe.encode(TEXT)


def test_a_large_file_comes_in_pieces(
    bpe: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    monkeypatch.setattr(readers, "PART", 100)
    pieces = list(stream_pieces([tmp_path / "a.txt", tmp_path / "b.jsonl"], bpe.boundary))
    of_a = [piece for piece in pieces if piece.source.endswith("a.txt")]
    assert len(of_a) >= 1 and sum(piece.ends for piece in of_a) == 1
    assert "".join(piece.text for piece in of_a) == TEXT
    assert [piece.text for piece in pieces[len(of_a) :]] == ["one", "two"]
    (whole,) = stream_pieces([tmp_path / "a.txt"], None)
    assert whole.text == TEXT and whole.ends


def test_a_file_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"empty\.txt holds no text"):
        list(stream_pieces([tmp_path / "empty.txt"], None))
    with pytest.raises(DataError, match=r"no file or folder .*none\.txt"):
        list(stream_pieces([tmp_path / "none.txt"], None))
