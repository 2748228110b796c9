"""`penjing data check` and `penjing data clean`."""

import io
import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    texts = [
        f"{n}: the cat number {n} sat on mat {n * 7} of house {n * 3}." * 3 for n in range(300)
    ]
    texts += [texts[5], "a bell \x07 rings in the house of the cat"]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_check_reports_and_changes_nothing(penjing, rows, tmp_path):
    before = rows.read_bytes()
    result = penjing("data", "check", str(rows), "--model", "10k", "--json", "out.json")
    assert result.code == 0 and rows.read_bytes() == before
    for said in (
        "files      1, ",
        "documents  302: ",
        "languages  English 100%",
        "tokens     about ",
        "model      10k parameters: 200k tokens would be compute-optimal",
        "1 document (0.3%, 138 B) with the same text as an earlier one.",
        f"{rows}:301 = {rows}:6",
        "1 document with control characters, 1 in all.",
    ):
        assert said in result.out, result.out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["documents"] == 302 and found["passes"]["wanted"] == 200_000
    assert {"same", "control"} <= {row["kind"] for row in found["findings"]}
    again = penjing("data", "check", str(rows), "--json", "out.json")
    assert again.code == 1 and "out.json exists already" in again.err


def test_help_names_the_parts(penjing):
    result = penjing("data", "--help")
    assert result.code == 0
    for part in ("check", "clean", "encode", "--validation-fraction"):
        assert part in result.out


def test_check_in_chinese(penjing, rows):
    result = penjing("data", "check", str(rows), "--language", "zh")
    assert result.code == 0
    assert "文档  302 篇" in result.out and "与前面的某篇相同" in result.out
    assert "语言  英文 100%" in result.out


def test_a_file_that_cannot_be_read_is_an_error_at_the_end(penjing, rows, tmp_path):
    (tmp_path / "bad.txt").write_bytes("我们的书，是一本好书。\n".encode("gb18030") * 9 + b"\xff\n")
    result = penjing("data", "check", str(rows), "bad.txt")
    assert result.code == 1 and "documents  302: " in result.out
    assert "error  1 of the files could not be read whole." in result.out
    assert "bad.txt, line 10, byte 207: byte 0xFF" in result.out


def test_a_tokenizer_and_a_model_of_ones_own(penjing, rows, model_dir):
    result = penjing(
        "data", "check", str(rows), "--tokenizer", str(model_dir), "--model", str(model_dir)
    )
    assert result.code == 0 and "1.00 bytes a token" in result.out
    assert re.search(r"model      \d+\.?\d*k parameters", result.out)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.txt"], 1, "There is no file"),
        (["--model", "many"], 2, "neither a number of parameters"),
        (["--model", "0"], 2, "from 1 on"),
        (["--tokenizer", "nosuch"], 1, "There is no tokenizer nosuch"),
        (["--validation-fraction", "0.9"], 2, "from 0 to 0.5"),
        ([], 1, "No text was named"),
    ],
)
def test_what_cannot_be_checked(penjing, rows, words, code, said):
    sources = [str(rows)] if words and words[0].startswith("--") else []
    result = penjing("data", "check", *sources, *words)
    assert result.code == code and said in result.err


def test_clean_writes_a_new_file_and_says_what_it_took_out(penjing, rows, tmp_path):
    result = penjing("data", "clean", str(rows), "--out", "new.jsonl", "--similar", "0")
    assert result.code == 0
    assert "taken out  1 document, 138 B: the same text as another\n" in result.out
    assert "taken out  1 control characters, in 1 document\n" in result.out
    assert "kept       301 of 302 documents" in result.out
    assert "data check new.jsonl" in result.out
    assert len((tmp_path / "new.jsonl").read_text().splitlines()) == 301
    again = penjing("data", "clean", str(rows), "--out", "new.jsonl")
    assert again.code == 1 and "exists already" in again.err


def test_what_is_piped_is_called_so(penjing, rows, monkeypatch):
    raw = rows.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    result = penjing("data", "check", "-")
    assert result.code == 0 and ": 1 standard input\n" in result.out


def test_clean_refuses_what_it_cannot_do_before_it_reads(penjing, rows):
    result = penjing("data", "clean", str(rows), "--out", "new.csv")
    assert result.code == 1 and "must end in .jsonl" in result.err
    result = penjing("data", "clean", str(rows), "--out", "new.jsonl", "--lines", "2")
    assert result.code == 1 and "at least 10 places" in result.err


def test_ctrl_c_leaves_no_file(process, rows, tmp_path):
    big = tmp_path / "big.jsonl"
    line = json.dumps({"text": "人工智能 and so on, number {}: " * 20})
    big.write_text("".join(line.replace("{}", str(n)) + "\n" for n in range(150_000)))
    running = process("data", "clean", "big.jsonl", "--out", "new.jsonl")
    assert running.stdout is not None
    running.stdout.readline()  # the first words of progress: the reading has begun
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.jsonl", "rows.jsonl"]


@pytest.mark.network
def test_the_report_in_the_docs_is_what_is_printed(penjing):
    """All but the time that it took, and the tokens, whose trainer may better itself."""
    page = DOCS.read_text(encoding="utf-8")
    shown = re.search(r"```\n(files .*?)```", page, re.DOTALL)
    assert shown is not None
    out = penjing("data", "check", "dictionary", "--model", "200k").out
    said = {line for line in out.splitlines() if not line.startswith("examined")}
    for line in shown[1].splitlines():
        assert not line or line.startswith("examined") or line in said, line
