"""Every kind of source, and what is said about each kind of bad input."""

import csv
import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path
from unittest import mock

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from penjing.core.errors import ConfigError, DataError
from penjing.data import encodings, readers
from penjing.data.readers import READERS, read_documents, stream_documents, stream_parts
from penjing.data.rows import read_csv, read_jsonl, read_parquet
from penjing.data.sources import find_sources

row_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"))


def texts(*sources: Path | str) -> list[str]:
    return [doc.text for doc in read_documents(list(sources))]


def parquet_bytes(columns: dict[str, list[object]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


SAMPLES = {
    "jsonl": b'{"text": "hello"}\n',
    "ndjson": b'{"text": "hello"}\n',
    "csv": b"id,text\n1,hello\n",
    "tsv": b"id\ttext\n1\thello\n",
    "parquet": parquet_bytes({"text": ["hello"]}),
}


@pytest.mark.parametrize("extension", READERS)
def test_every_known_type_is_read(extension: str, tmp_path: Path) -> None:
    for name in (f"a.{extension}", f"B.{extension.upper()}"):
        (tmp_path / name).write_bytes(SAMPLES.get(extension, b"hello"))
    (tmp_path / f"c.{extension}.gz").write_bytes(gzip.compress(SAMPLES.get(extension, b"hello")))
    assert texts(tmp_path) == ["hello"] * 3


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("一\r\n二\n".encode())
    (doc,) = read_documents([str(path)])
    assert (doc.text, doc.source) == ("一\n二\n", str(path))


def test_a_file_without_extension_is_text(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    assert texts(tmp_path / "notes") == ["hello"]


@given(st.lists(row_text))
def test_jsonl_round_trip(rows: list[str]) -> None:
    raw = "\n".join(json.dumps({"id": 1, "text": row}, ensure_ascii=False) for row in rows)
    assert [doc.text for doc in read_jsonl(io.BytesIO(raw.encode()), "a.jsonl")] == rows


@given(st.lists(row_text))
def test_csv_round_trip(rows: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["id", "text"], *(["1", r] for r in rows)])
    found = read_csv(io.BytesIO(out.getvalue().encode()), "a.csv")
    assert [doc.text for doc in found] == rows


@given(st.lists(row_text))
def test_parquet_round_trip(rows: list[str]) -> None:
    raw = parquet_bytes({"id": list(range(len(rows))), "content": pyarrow.array(rows, "string")})
    assert [doc.text for doc in read_parquet(io.BytesIO(raw), "a.parquet")] == rows


def test_rows_know_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\n"two\nlines"\nlast\n')
    (tmp_path / "b.jsonl").write_text('\n{"content": "x"}\n')
    sources = [Path(doc.source).name for doc in read_documents([tmp_path])]
    assert sources == ["a.csv:2", "a.csv:4", "b.jsonl:2"]


def test_a_long_csv_field(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "x" * 300_000 + "\n")
    assert len(texts(tmp_path)[0]) == 300_000


def test_a_folder_is_read_in_order_and_without_hidden_files(tmp_path: Path) -> None:
    for name in (
        "b/2.txt",
        "b/1.md",
        "a.txt",
        ".hidden.txt",
        ".git/x.txt",
        "image.png",
        "empty.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty.txt" else name)
    assert texts(tmp_path) == ["a.txt", "b/1.md", "b/2.txt"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    (tmp_path / "in" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "in" / "gone.txt").symlink_to(tmp_path / "nowhere")
    assert texts(tmp_path) == ["hello"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("今天\n".encode())))
    assert texts("-") == ["今天\n"]


@pytest.mark.parametrize("name", ["stdlib", "corpus:stdlib"])
def test_a_corpus_by_name(name: str) -> None:
    assert len(read_documents([name])) > 100


BAD_ROWS = [
    ("jsonl", b'{"text": "a"}\n{"text": \n', "line 2: not JSON"),
    ("jsonl", b'["a"]\n', r'line 1: an object is needed, such as \{"text"'),
    ("jsonl", b'{"txt": "a", "id": 1}\n', "line 1: a field text or content .* are: txt, id"),
    ("jsonl", b'{"text": 5}\n', "line 1: 'text' must be a string, not int"),
    ("jsonl", b'\n{"text": "\\ud83d"}\n', "line 2: 'text' holds half a character"),
    ("jsonl", b"[" * 100_000, "line 1: not JSON"),
    ("jsonl", b'{"text": "a", "id": 1' + b"0" * 5000 + b"}", "line 1: not JSON"),
    ("csv", b"", "line 1: a column text or content is needed; the columns are: none"),
    ("csv", b"id,body\n1,2\n", "line 1: a column text or content .* are: id, body"),
    ("csv", b"id,text\n1,a\n2\n", "line 3: the row ends before column 'text'"),
    ("csv", b'text\na\n"open\n\n', "line 3: not a row of csv"),
    ("parquet", b"PAR1 not really", "not a readable parquet file"),
    ("parquet", parquet_bytes({"id": [1]}), "a column text or content .* are: id"),
    ("parquet", parquet_bytes({"text": [1]}), "row 1: 'text' must be a string, not int"),
    ("txt", b"\x89PNG\r\n\x1a\n\x00\x00", "binary file, not text"),
    ("txt", b" \n", "holds no text"),
    ("txt.gz", b"not gzip", "damaged gzip file"),
    ("txt.gz", gzip.compress(b"hello" * 99)[:-9], "damaged gzip file"),
    ("pdf", b"%PDF-1.7", r"files of type \.pdf are not read"),
    ("jsonl.zst", b"(\xb5/\xfd", r"is packed: unpack it first, or pack it with gzip"),
]


@pytest.mark.parametrize(
    ("extension", "raw", "message"), BAD_ROWS, ids=[message for _, _, message in BAD_ROWS]
)
def test_bad_files_say_where_and_why(
    extension: str, raw: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / f"bad.{extension}"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=rf"(?s)bad\.{extension}.*{message}"):
        read_documents([path])


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'penjing\[parquet\]'"):
        list(read_parquet(io.BytesIO(SAMPLES["parquet"]), "a.parquet"))


def test_a_missing_file_says_what_was_meant() -> None:
    with pytest.raises(DataError, match=r"no file or folder shakespear.*mean 'shakespeare'"):
        read_documents(["shakespear"])


@pytest.mark.parametrize(
    ("name", "message"), [("x" * 5000, "File name too long"), ("~no_such_user/a.txt", "home")]
)
def test_an_impossible_name(name: str, message: str) -> None:
    with pytest.raises(DataError, match=f"Cannot read .*{message}") as caught:
        read_documents([name])
    assert not str(caught.value).endswith("..")


def test_a_folder_that_may_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"Cannot read .*: Permission denied"):
        read_documents([tmp_path])


def test_an_unknown_corpus_says_what_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"Unknown corpus 'tan'.*'tang'"):
        read_documents(["corpus:tan"])


def test_a_folder_without_text_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is nothing"):
        read_documents([tmp_path])
    (tmp_path / "a.png").touch()
    (tmp_path / "Makefile").touch()
    with pytest.raises(DataError, match=r"there is \*\.png, Makefile"):
        read_documents([tmp_path])


def test_no_source_at_all() -> None:
    with pytest.raises(DataError, match="No text was named"):
        read_documents([])


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(DataError, match="Standard input holds no text"):
        read_documents(["-"])


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("hello")

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"Cannot read .*a\.txt: Permission denied"):
        read_documents([tmp_path])


@given(st.lists(st.text("ab\n人", max_size=120), max_size=12))
def test_parts_make_up_the_text(chunks: list[str]) -> None:
    text = "".join(chunks)
    with mock.patch.object(readers, "PART", 50):
        parts = list(readers._parts(iter(chunks), "a.txt"))
    if not text.strip() and len(parts) <= 1:
        assert not parts
        return
    assert "".join(part.text for part in parts) == text
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    for part in parts[:-1]:
        assert part.text.endswith("\n") or "\n" not in part.text[:-1]


def test_a_source_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PART", 1000)
    monkeypatch.setattr(encodings, "WHOLE", 5000)
    monkeypatch.setattr(encodings, "_CHUNK", 500)
    text = "".join(f"line {n}, 第{n}行\n" for n in range(2000))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    (source,) = next(find_sources([tmp_path / "a.txt"], READERS))
    parts = list(stream_parts(source))
    assert len(parts) > 20 and max(len(part.text) for part in parts[1:]) < 2000
    assert "".join(part.text for part in parts) == text
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    (whole,) = read_documents([tmp_path / "a.txt"])
    assert whole.text == text


def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PART", 5_000)
    monkeypatch.setattr(encodings, "WHOLE", 8_192)
    monkeypatch.setattr(encodings, "_CHUNK", 2_048)
    path, rows = tmp_path / "a.txt", tmp_path / "a.jsonl"
    path.write_text("".join(f"line {n}, 第{n}行\n" for n in range(20_000)), encoding="utf-8")
    rows.write_text("".join(f'{{"text": "row {n}"}}\n' for n in range(20_000)))
    assert min(path.stat().st_size, rows.stat().st_size) > 400_000
    for source in find_sources([path, rows], READERS):
        tracemalloc.start()
        for _ in stream_parts(source[0]):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150_000


def test_rows_are_streamed(tmp_path: Path) -> None:
    """A bad row is met when the reading comes to it, not before."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\nno json\n')
    documents = stream_documents([path])
    assert [next(documents).text, next(documents).text] == ["one", "two"]
    with pytest.raises(DataError, match=r"a\.jsonl, line 3: not JSON"):
        next(documents)


def test_one_line_of_megabytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x" * 3_000_000}) + "\n")
    (document,) = read_documents([tmp_path / "a.jsonl"])
    assert len(document.text) == 3_000_000


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch) -> None:
    (tmp_path / "some.txt").write_text("text", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="No text was named"):
        read_documents([""])
