"""`penjing data`."""

import io
import sys

from penjing.data.corpora import CORPORA


def test_counts(penjing, text_file):
    result = penjing("data", str(text_file), "--validation-fraction", "0.1")
    text = text_file.read_text(encoding="utf-8")
    assert result.code == 0
    assert f"characters {len(text):,}\n" in result.out
    assert f"bytes      {len(text.encode()):,}, " in result.out
    assert "documents  1, 0 of them duplicates" in result.out
    assert "validation 1 document, " in result.out


def test_show(penjing, text_file):
    assert "0: the cat" not in penjing("data", str(text_file)).out
    assert (
        "\n0: the cat sat on the mat. 床前明月光，" in penjing("data", str(text_file), "--show").out
    )


def test_list_has_every_corpus_with_its_licence(penjing):
    out = penjing("data", "--list").out
    for name, corpus in CORPORA.items():
        assert name in out and corpus.licence in out


def test_the_licence_of_a_corpus_is_shown(penjing):
    out = penjing("data", "stdlib").out
    assert "licence    PSF-2.0" in out


def test_nothing_named_is_a_usage_error(penjing):
    result = penjing("data")
    assert result.code == 2 and "penjing data --list" in result.err


def test_what_cannot_be_read_is_said(penjing, tmp_path):
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\r\n" + bytes(range(256)) * 4)
    for source, said in (("nowhere.txt", "There is no file"), ("image.txt", "image.txt, line ")):
        result = penjing("data", source)
        assert result.code == 1 and said in result.err and result.err.count("\n") == 1


def test_standard_input(penjing, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO("一二三四五六七八九十。\n".encode() * 20))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert "characters 240\n" in penjing("data", "-").out


def test_a_little_text_is_counted_too(penjing, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("床前明月光\n".encode())))
    result = penjing("data", "-")
    assert result.code == 0 and "characters 6\n" in result.out
    assert "split      There is too little text: 16 bytes" in result.out


def test_a_fraction_that_cannot_be_is_an_error(penjing, text_file):
    result = penjing("data", str(text_file), "--validation-fraction", "0.9")
    assert result.code == 1 and "from 0 to 0.5" in result.err
