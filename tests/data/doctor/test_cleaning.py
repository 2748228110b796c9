"""What is left out, what stays, and that the account of it is right."""

import gzip
import io
import json
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import ConfigError, DataError
from penjing.data import encodings, readers
from penjing.data.doctor import cleaning
from penjing.data.doctor.account import account
from penjing.data.doctor.cleaning import clean
from penjing.data.doctor.diagnosis import diagnose
from penjing.data.doctor.survey import survey
from penjing.data.doctor.trimming import KINDS, Trim, Trimmer
from penjing.data.doctor.verdict import CleanConfig
from penjing.data.readers import read_documents

MENU = "Home | News | About this site"


def texts(path: Path) -> list[str]:
    return [doc.text for doc in read_documents([path])]


def test_a_sound_text_stays_as_it_is(write, stories, tmp_path) -> None:
    source = write("a.jsonl", stories)
    before = source.read_bytes()
    cleaned = clean([source], tmp_path / "b.jsonl", CleanConfig())
    assert texts(tmp_path / "b.jsonl") == stories and source.read_bytes() == before
    assert (cleaned.kept, cleaned.documents) == (120, 120)
    assert cleaned.kept_bytes == cleaned.n_bytes and not cleaned.taken
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert rows[4]["source"] == f"{source}:5"


def test_every_reason(write, stories, tmp_path) -> None:
    near = stories[7].replace("house", "garden")
    source = write(
        "a.jsonl", [*stories, stories[3], near, "tiny", "x" * 3000, "\x07" * 9, "a\n" * 999]
    )
    keep = write("keep.jsonl", [stories[11], stories[12].replace("house", "garden")])
    cleaned = clean(
        [source],
        tmp_path / "b.jsonl",
        CleanConfig(shortest=5, longest=1990, unbroken=1000),
        against=[keep],
        removed=tmp_path / "r.jsonl",
    )
    assert cleaned.taken == {
        "same": 1, "alike": 1, "short": 1, "unbroken": 1, "empty": 1, "long": 1, "against": 2
    }  # fmt: skip
    assert texts(tmp_path / "b.jsonl") == stories[:11] + stories[13:]
    rows = {
        row.pop("source").rpartition(":")[2]: row
        for row in map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    }
    assert rows["121"] == {"text": stories[3], "reason": "same", "like": f"{source}:4"}
    assert rows["122"] == {"text": near, "reason": "alike", "like": f"{source}:8"}
    assert rows["12"]["reason"] == "against" and rows["12"]["like"] == f"{keep}:1"
    assert rows["123"] == {"text": "tiny", "reason": "short"}
    assert sum(cleaned.taken.values()) == len(rows) == cleaned.documents - cleaned.kept


def test_what_may_be_kept(write, stories, tmp_path) -> None:
    near = stories[7].replace("house", "garden\x07")
    source = write("a.jsonl", [*stories, stories[3], near])
    config = CleanConfig(same=False, similar=0, characters=False)
    clean([source], tmp_path / "b.jsonl", config)
    assert texts(tmp_path / "b.jsonl") == texts(source)


def test_lines_that_repeat_are_taken_out_with_their_ends(write, stories, tmp_path) -> None:
    ways = [f"{MENU}\n{{}}", f"{{}}\n  {MENU}  \n", f"{{}}\n{MENU}", "{}"]
    source = write("a.jsonl", [ways[n % 4].format(t) for n, t in enumerate(stories)])
    cleaned = clean([source], tmp_path / "b.jsonl", CleanConfig(lines=20))
    expected = [text if n % 4 in (0, 3) else f"{text}\n" for n, text in enumerate(stories)]
    assert texts(tmp_path / "b.jsonl") == expected
    assert (cleaned.trimmed.lines, cleaned.trimmed.line_documents) == (90, 90)
    assert cleaned.trimmed.line_bytes == cleaned.n_bytes - cleaned.kept_bytes
    clean([source], tmp_path / "c.jsonl", CleanConfig(lines=100))
    assert texts(tmp_path / "c.jsonl") == texts(source)


@pytest.mark.parametrize("end", ["\n", "\u2028", "\u2029"])
def test_what_shares_a_line_feed_with_such_a_line_stays(end, write, stories, tmp_path) -> None:
    source = write(
        "a.jsonl", [f"{text}\nkept {n}{end}{MENU}\nmore" for n, text in enumerate(stories)]
    )
    clean([source], tmp_path / "b.jsonl", CleanConfig(lines=20))
    assert texts(tmp_path / "b.jsonl") == [
        f"{text}\nkept {n}{end}more" for n, text in enumerate(stories)
    ]


def test_copies_do_not_make_a_line_common(write, stories, tmp_path) -> None:
    """Lines are counted in what is kept: else the one that stays would lose all of its lines."""
    near = [f"{stories[8]} number {n}" for n in range(12)]
    source = write("a.jsonl", [*stories, *[stories[7]] * 12, *near])
    cleaned = clean([source], tmp_path / "b.jsonl", CleanConfig(lines=10))
    assert cleaned.taken == {"same": 12, "alike": 12} and cleaned.trimmed.lines == 0
    assert texts(tmp_path / "b.jsonl") == stories


def test_what_is_left_out_is_not_there_to_be_repeated(write, stories, tmp_path) -> None:
    """A text that is too long does not take a shorter near copy with it."""
    longer = f"{stories[7]} and some more words"
    source = write("a.jsonl", [longer, stories[7]])
    cleaned = clean([source], tmp_path / "b.jsonl", CleanConfig(longest=len(stories[7])))
    assert cleaned.taken == {"long": 1} and texts(tmp_path / "b.jsonl") == [stories[7]]


def test_a_second_cleaning_finds_nothing(write, stories, tmp_path) -> None:
    """Also of what is the same only without its odd characters, whichever comes first."""
    short = [f"no. {n} of the short ones" for n in range(20)]
    odd = [text.replace(" ", "\u200b ") for text in short]
    hyphens = [text.replace("e", "\xade") for text in stories[:9]]
    rows = [*odd[:10], *short, *odd[10:], "\x07\x07", *hyphens, *stories]
    first, second = tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    cleaned = clean([write("a.jsonl", rows)], first, CleanConfig(), removed=tmp_path / "r.jsonl")
    assert cleaned.taken == {"same": 20, "empty": 1, "alike": 9}
    assert sorted(texts(first)[:20]) == sorted(short)
    removed = [json.loads(row) for row in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert {row["like"].rpartition(":")[2] for row in removed if row["reason"] == "same"} == {
        str(n) for n in [*range(1, 11), *range(21, 31)]
    }
    assert cleaned.trimmed.characters["invisible"] == sum(
        row.count("\u200b") + row.count("\xad") for row in [*odd[:10], *hyphens]
    )
    again = clean([first], second, CleanConfig())
    assert not again.taken and not again.trimmed.characters
    assert texts(second) == texts(first)


@given(st.lists(st.text(st.sampled_from("ab \n\u200b\x07\x0c\u2028"), max_size=6), max_size=9))
def test_nothing_is_lost_that_is_not_told(rows: list[str]) -> None:
    """What is kept and what is left out is all there was; kept texts differ, and are sound."""
    rows = [f"a word\x07 {row}" for row in rows] + ["a word"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (json.dumps({"text": row}) for row in rows)
        (folder / "a.jsonl").write_text("\n".join(lines))
        removed = folder / "r.jsonl"
        cleaned = clean([folder / "a.jsonl"], folder / "b.jsonl", CleanConfig(), removed=removed)
        kept = [json.loads(row) for row in (folder / "b.jsonl").read_text().split("\n")[:-1]]
        gone = [json.loads(row) for row in removed.read_text().split("\n")[:-1]]
    places = [int(row["source"].rpartition(":")[2]) - 1 for row in [*kept, *gone]]
    assert sorted(places) == list(range(len(rows)))
    odd = 0
    for place, row in zip(places, kept, strict=False):
        assert row["text"] == re.sub("[\u200b\x07]", "", re.sub("\x0c+", "\n", rows[place]))
        odd += sum(map(rows[place].count, "\u200b\x07\x0c"))
    assert [row["text"] for row in gone] == [rows[place] for place in places[len(kept) :]]
    assert len({row["text"].strip() for row in kept}) == len(kept)
    assert sum(cleaned.trimmed.characters.values()) == odd


def test_after_cleaning_nothing_is_found(write, stories, tmp_path) -> None:
    near = stories[7].replace("house", "garden")
    troubled = [f"{text}\x07\xad\ue000\ufdd0" for text in stories[20:30]]
    rows = [
        f"{MENU}\n{text}" for text in [*stories[:20], *troubled, *stories[30:], stories[1], near]
    ]
    source = write("a.jsonl", rows)
    assert {f.kind for f in diagnose(survey([source]))} >= {"same", "alike", "lines", "control"}
    clean([source], tmp_path / "b.jsonl", CleanConfig(lines=10))
    assert diagnose(survey([tmp_path / "b.jsonl"])) == ()
    assert texts(tmp_path / "b.jsonl") == stories


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_characters_are_taken_out_as_are_found(kind: str, write, tmp_path) -> None:
    """The pattern of what is taken out, against the table of what is found."""
    from penjing.data.doctor import characters

    number = {
        "control": characters.CONTROL,
        "invisible": characters.INVISIBLE,
        "private": characters.PRIVATE,
        "no_character": characters.NO_CHARACTER,
    }[kind]
    table = characters.class_table()
    step = 97 if kind == "private" else 1
    own = [chr(code) for code in range(0, 0x110000, step) if table[code] == number]
    trim = Trimmer((), characters=True).trim("".join(f"a{char}" for char in own))
    assert set(trim.text) <= {"a", "\n"} and trim.characters == {kind: len(own)}
    rest = "".join(chr(c) for c in range(0x3000) if table[c] < 5)
    assert Trimmer((), characters=True).trim(rest).text == rest


def test_damaged_files_are_refused_or_repaired(tmp_path) -> None:
    raw = "我们的书，是一本好书。今天天气不错。\n".encode("gb18030") * 20
    (tmp_path / "gbk.txt").write_bytes(raw[:390] + b"\xff" + raw[390:])
    (tmp_path / "zero.txt").write_bytes(b"some plain text\0 with a zero byte in it\n" * 9)
    sources, out = [tmp_path / "gbk.txt", tmp_path / "zero.txt"], tmp_path / "out.jsonl"
    with pytest.raises(
        DataError, match=r"gbk\.txt, line 11, byte 390.*--repair.*1 more cannot be read"
    ):
        clean(sources, out, CleanConfig())
    assert not out.exists() and len(list(tmp_path.iterdir())) == 2
    cleaned = clean(sources, out, CleanConfig(repair=True))
    assert texts(out) == [raw.decode("gb18030"), "some plain text with a zero byte in it\n" * 9]
    assert [(file.repaired, file.encoding) for file in cleaned.repaired] == [
        (1, "gb18030"),
        (9, "utf-8"),
    ]


def test_lines_that_are_no_rows_are_refused_or_left_out(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one of them"}\n{"te\n[]\n{"text": "the other"}\n')
    out = tmp_path / "b.jsonl"
    with pytest.raises(DataError, match=r"line 2: not JSON.*--repair.*\(2 here\)"):
        clean([tmp_path / "a.jsonl"], out, CleanConfig())
    cleaned = clean([tmp_path / "a.jsonl"], out, CleanConfig(repair=True))
    assert texts(out) == ["one of them", "the other"]
    assert next(account(cleaned, "en")).endswith("a.jsonl: 2 lines left out, no rows of text")


def test_files_without_text_are_no_obstacle(write, stories, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    write("in/a.jsonl", stories)
    (tmp_path / "in" / "__init__.py").touch()
    assert clean([tmp_path / "in"], tmp_path / "b.jsonl", CleanConfig()).kept == 120


def test_forms_of_the_new_file(write, stories, tmp_path) -> None:
    source = write("a.jsonl", stories[:3])
    clean([source], tmp_path / "b.txt", CleanConfig())
    assert (tmp_path / "b.txt").read_text() == "\n\n".join(stories[:3])
    clean([source], tmp_path / "c.jsonl.gz", CleanConfig())
    assert texts(tmp_path / "c.jsonl.gz") == stories[:3]
    first = (tmp_path / "c.jsonl.gz").read_bytes()
    clean([source], tmp_path / "d.jsonl.gz", CleanConfig())
    assert gzip.decompress((tmp_path / "d.jsonl.gz").read_bytes()) == gzip.decompress(first)
    with pytest.raises(ConfigError, match=r"b\.csv must end in \.jsonl"):
        clean([source], tmp_path / "b.csv", CleanConfig())


def test_a_long_text_in_parts(tmp_path, stories, monkeypatch) -> None:
    monkeypatch.setattr(readers, "PART", 2000)
    monkeypatch.setattr(encodings, "WHOLE", 3000)
    monkeypatch.setattr(encodings, "_CHUNK", 700)
    text = "".join(f'"{story}" \\ 人工智能\x07\n' for story in stories)
    (tmp_path / "one.txt").write_text(text, encoding="utf-8")
    cleaned = clean([tmp_path / "one.txt"], tmp_path / "b.jsonl", CleanConfig())
    (row,) = map(json.loads, (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines())
    assert row["text"] == text.replace("\x07", "")
    assert (cleaned.documents, cleaned.kept) == (1, 1)
    assert cleaned.trimmed.characters == {"control": 120}
    assert cleaned.trimmed.documents == {"control": 1}


def test_standard_input_is_read_twice(tmp_path, stories, monkeypatch) -> None:
    raw = "\n".join(stories).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    clean(["-"], tmp_path / "b.jsonl", CleanConfig())
    row = json.loads((tmp_path / "b.jsonl").read_bytes())
    assert row == {"text": raw.decode(), "source": "standard input"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_so_is_a_pipe_with_a_name(tmp_path, stories) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\n".join(stories),))
    writer.start()
    clean([pipe], tmp_path / "b.jsonl", CleanConfig())
    writer.join()
    assert texts(tmp_path / "b.jsonl") == ["\n".join(stories)]


def test_nothing_left_is_an_error(write, tmp_path) -> None:
    source = write("a.jsonl", ["short one", "short two"])
    with pytest.raises(DataError, match=r"Nothing of the text is left.*b\.jsonl"):
        clean([source], tmp_path / "b.jsonl", CleanConfig(shortest=100))
    assert not (tmp_path / "b.jsonl").exists()


@pytest.mark.parametrize("later", [119, 121])
def test_a_text_that_changes_meanwhile(later: int, write, stories, tmp_path, monkeypatch) -> None:
    source = write("a.jsonl", stories)
    examine = cleaning.examine

    def examine_and_change(*args, **options):
        found = examine(*args, **options)
        write("a.jsonl", [*stories, "one more"][:later])
        return found

    monkeypatch.setattr(cleaning, "examine", examine_and_change)
    with pytest.raises(DataError, match=rf"120 documents were examined, {later} were there"):
        clean([source], tmp_path / "b.jsonl", CleanConfig())
    assert not (tmp_path / "b.jsonl").exists()


def test_an_interrupt_leaves_nothing(write, stories, tmp_path, monkeypatch) -> None:
    source = write("a.jsonl", stories)

    def interrupt(self: Trimmer, text: str) -> Trim:
        if text == stories[60]:
            raise KeyboardInterrupt
        return Trim(text, {}, 0, 0)

    monkeypatch.setattr(Trimmer, "trim", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clean([source], tmp_path / "b.jsonl", CleanConfig(), removed=tmp_path / "r.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CleanConfig(similar=0.2), "similar must be 0 or from 0.5 to 1"),
        (CleanConfig(lines=3), "lines must be 0 or at least 10"),
        (CleanConfig(shortest=-1), "shortest must not be negative"),
    ],
)
def test_settings_that_cannot_work(config: CleanConfig, said: str, write, tmp_path) -> None:
    with pytest.raises(ConfigError, match=said):
        clean([write("a.jsonl", ["text"])], tmp_path / "b.jsonl", config)


def test_the_account_in_both_languages(write, stories, tmp_path) -> None:
    source = write("a.jsonl", [*stories, stories[0], "a bell \x07 rings"])
    cleaned = clean([source], tmp_path / "b.jsonl", CleanConfig(similar=0))
    english, chinese = (list(account(cleaned, language)) for language in ("en", "zh"))
    assert english[0].startswith("taken out  1 document, ")
    assert "taken out  1 control characters, in 1 document" in english
    assert english[-1].startswith("kept       121 of 122 documents, ")
    assert len(chinese) == len(english) and chinese[-1].startswith("保留 121 / 122 篇")
