"""Each finding: provoked by a text that has it, and by no other."""

import json
from pathlib import Path

import numpy as np
import pytest

from penjing.core.errors import ConfigError, DataError
from penjing.core.events import Event
from penjing.data import encodings, readers
from penjing.data.doctor import batch
from penjing.data.doctor.diagnosis import Finding, diagnose, find_copies
from penjing.data.doctor.report import Examined, as_json, describe, languages, overview, scripts
from penjing.data.doctor.survey import TROUBLES, survey
from penjing.data.doctor.words import WORDS
from penjing.data.documents import split_documents
from penjing.data.readers import read_documents


def findings(*sources: Path, validation: tuple[Path, ...] = ()) -> dict[str, Finding]:
    found = diagnose(survey(sources, validation))
    assert len({finding.kind for finding in found}) == len(found)
    return {finding.kind: finding for finding in found}


def test_a_sound_text_has_no_findings(write, stories) -> None:
    path = write("a.jsonl", stories)
    assert findings(path) == {}


def test_the_overview_counts_what_is_there(write, stories) -> None:
    texts = [*stories, "床前明月光，疑是地上霜。" * 50]
    found = survey([write("a.jsonl", texts)])
    assert len(found.documents) == 121
    assert found.n_bytes == sum(len(text.encode()) for text in texts)
    assert found.documents.table.n_characters.tolist() == [len(text) for text in texts]
    shares = scripts(found)
    assert list(shares) == ["Latin", "Han"] and sum(shares.values()) == pytest.approx(1)
    assert languages(found)["Chinese"] == pytest.approx(1800 / found.n_bytes)
    assert found.files[0].encoding == "utf-8"
    assert "".join(found.sample) == "".join(texts)


def test_copies_and_near_copies(write, stories) -> None:
    near = stories[7].replace(" a", " changed a", 1).replace("house", "HOUSE!")
    path = write("a.jsonl", [*stories, stories[3], f"  {stories[4]}\n", near])
    found = findings(path)
    assert found["same"].values["n"] == 2 and found["same"].severity == "warning"
    assert found["same"].examples == (f"{path}:121 = {path}:4", f"{path}:122 = {path}:5")
    assert found["alike"].values["n"] == 1
    assert found["alike"].examples == (f"{path}:123 = {path}:8",)


def test_repeated_passages(write, stories) -> None:
    quoted = stories[0][200:700]
    found = findings(write("a.jsonl", [f"{text}\n{quoted}\n" for text in stories]))
    assert set(found) >= {"passages"} and "alike" not in found
    n = len(quoted.split()) - 31
    whole = len(f"{stories[1]} {quoted}".split()) - 31
    assert found["passages"].values["share"] == pytest.approx(n / whole, rel=0.1)


def test_a_leak_into_a_validation_text(write, stories) -> None:
    near = stories[9].replace("house", "garden")
    training = write("a.jsonl", stories)
    validation = write("b.jsonl", ["one of its own " * 9, stories[5], near])
    leak = findings(training, validation=(validation,))["leak"]
    assert (leak.values["n"], leak.values["validation"]) == (2, 3)
    assert leak.examples == (f"{validation}:2 = {training}:6", f"{validation}:3 = {training}:10")
    assert leak.severity == "warning" and leak.values["passages"] > 0.9


def test_a_leak_behind_a_closer_twin(write, stories) -> None:
    """Two validation documents are like one that is trained on, and more like each other."""
    changed = stories[9].replace("house", "garden")
    twins = [changed, changed.replace("garden", "garden one")]
    found = findings(write("a.jsonl", stories), validation=(write("b.jsonl", twins),))
    assert found["leak"].values["n"] == 2


def test_a_leak_within_the_split(write, stories) -> None:
    """What `pretrain` keeps aside is known from near copies in the rest."""
    twins = [text.replace("house", "garden") for text in stories]
    path = write("a.jsonl", [*stories, *twins])
    leak = findings(path)["split_leak"]
    split = split_documents(read_documents([path]), validation_fraction=0.05)
    trained = {doc.text.replace("house", "garden") for doc in split.train}
    known = [doc for doc in split.validation if doc.text.replace("house", "garden") in trained]
    assert leak.values["validation"] == len(split.validation)
    assert leak.values["n"] == len(known) > 0


def test_a_leak_into_the_tail_of_one_text(tmp_path, stories) -> None:
    text = "\n".join([*stories, stories[0], stories[1], stories[2], stories[3], stories[4]])
    path = tmp_path / "one.txt"
    path.write_text(text)
    leak = findings(path)["tail_leak"]
    assert leak.values["passages"] > 0.6
    said, advice = describe(leak, "en")
    assert "of the passages stand in the rest." in said
    assert "validate on another text" in advice and "compares documents as wholes" in advice
    assert "整篇的副本" in describe(leak, "zh")[1]
    (tmp_path / "two.txt").write_text(text.replace("house", "garden"))
    twins = findings(tmp_path / "one.txt", tmp_path / "two.txt")
    assert "alike" in twins and "clean the text" in describe(twins["tail_leak"], "en")[1]


def test_who_repeats_passages_is_not_told_to_take_out_copies(write, stories) -> None:
    """Half of each validation document is half of one that is trained on."""
    halves = [text[: len(text) // 2] for text in stories[:9]]
    own = [text[len(text) // 2 :] for text in stories[20:29]]
    mixed = [f"{half} {rest}" for half, rest in zip(halves, own, strict=True)]
    leak = findings(write("a.jsonl", stories[:9]), validation=(write("b.jsonl", mixed),))["leak"]
    assert leak.values["n"] == 0 and leak.values["passages"] > 0.3
    assert "compares documents as wholes" in describe(leak, "en")[1]
    copied = findings(write("a.jsonl", stories), validation=(write("b.jsonl", stories[:9]),))
    assert "`penjing data clean --against`" in describe(copied["leak"], "en")[1]


def test_lines_that_stand_everywhere(write, stories) -> None:
    menu = "Home | News | About this site"
    texts = [f"{menu}\n{text}" if n % 2 else text for n, text in enumerate(stories)]
    line = findings(write("a.jsonl", texts))["lines"]
    assert line.values["n"] == 1 and line.values["bytes"] == 60 * len(menu)
    assert line.examples == (f"60 x {menu}",)


TROUBLED = {
    "control": "a bell \x07 and \x1b[31m colours",
    "lost": "caf\ufffd and na\ufffdve",
    "invisible": "soft\xadhyphen, zero\u200bwidth, mark\ufeff",
    "private": "an icon \ue000 of a font",
    "no_character": "not \ufdd0 one",
    "mojibake": "Ã©tÃ© Ã  la plage, cÅ\x93ur",
    "phrase": "All rights reserved. Lorem ipsum.",
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_odd_characters_and_phrases(kind: str, write, stories) -> None:
    path = write("a.jsonl", [*stories, f"Some words of its own. {TROUBLED[kind]}"])
    found = findings(path)
    assert found[kind].values["n"] == 1 and found[kind].examples == (f"{path}:121",)
    assert set(found) <= {kind, "control"}  # of mojibake, some are control characters, too


def test_lengths(write, stories) -> None:
    path = write("a.jsonl", ["tiny", *stories, "x" * 5000, "\n".join(stories) * 9])
    found = findings(path)
    assert found["short"].examples == (f"{path}:1",)
    assert found["unbroken"].examples == (f"{path}:122",)
    assert found["long"].examples == (f"{path}:123",)


def test_little_text(write) -> None:
    assert findings(write("a.jsonl", ["not much at all, is it?"]))["little"].severity == "warning"


def test_replacement_characters_that_were_read_as_gbk(write, stories) -> None:
    path = write("a.jsonl", [*stories, "一段文字锟斤拷锟斤拷，后面还有一段文字。"])
    assert findings(path)["lost"].values["characters"] == 6


def test_files_without_text_are_noted_and_no_error(tmp_path, write, stories) -> None:
    write("a.jsonl", stories)
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "b.txt").write_text(" \n")
    found = survey([tmp_path])
    assert not any(file.error for file in found.files)
    (finding,) = diagnose(found)
    assert (finding.kind, finding.severity, finding.values["n"]) == ("empty", "note", 2)
    assert describe(finding, "en")[0] == "2 files without any text."


def test_lines_that_are_no_rows(tmp_path, stories) -> None:
    """They are an error, with the first of them; the rows behind them are examined."""
    rows = [json.dumps({"text": text}) for text in stories]
    rows[3], rows[5], rows[-1] = "{", '["no object"]', rows[-1][:-9]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    found = survey([tmp_path / "a.jsonl"])
    assert len(found.documents) == 117
    error = found.files[0].error
    assert error is not None and "a.jsonl, line 4: not JSON" in error
    assert error.endswith("`penjing data clean --repair` leaves out such lines (3 here).")


def test_a_file_that_cannot_be_read_does_not_end_the_others(tmp_path, write, stories) -> None:
    good = write("a.jsonl", stories)
    (tmp_path / "bad.txt").write_bytes("我们的书，是一本好书。\n".encode("gb18030") * 9 + b"\xff\n")
    (tmp_path / "worse.jsonl").write_text('{"text": "one row that is well"}\n{"txt": 1}\n')
    found = survey([tmp_path])
    assert [(file.documents, file.error is None) for file in found.files] == [
        (120, True),
        (0, False),
        (1, False),
    ]
    errors = diagnose(found)[0]
    assert errors.kind == "unreadable" and errors.severity == "error"
    assert "bad.txt, line 10, byte 207" in errors.examples[0]
    assert "worse.jsonl, line 2" in errors.examples[1]
    assert str(good) in found.files[0].name


def test_nothing_at_all_to_examine(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.txt holds no text"):
        survey([tmp_path / "a.txt"])
    with pytest.raises(DataError, match="There is no file"):
        survey([tmp_path / "b.txt"])
    with pytest.raises(ConfigError, match="Unknown corpus"):
        survey(["corpus:nothing"])


def test_a_long_text_in_parts_is_one_document(tmp_path, stories, monkeypatch) -> None:
    path = tmp_path / "one.txt"
    path.write_text("\n".join(stories))
    whole = survey([path])
    monkeypatch.setattr(readers, "PART", 2000)
    monkeypatch.setattr(encodings, "WHOLE", 3000)
    monkeypatch.setattr(encodings, "_CHUNK", 700)
    monkeypatch.setattr(batch, "_BYTES", 5000)
    parts = survey([path])
    for name in ("n_bytes", "n_characters", "digest", "core"):
        left, right = getattr(whole.documents.table, name), getattr(parts.documents.table, name)
        np.testing.assert_array_equal(left, right)
    assert len(parts.documents) == 1
    np.testing.assert_array_equal(whole.characters, parts.characters)
    assert whole.troubles == parts.troubles


def test_near_copies_of_long_texts_are_found(tmp_path, stories, monkeypatch) -> None:
    """Texts that come in parts, in several batches, between short ones."""
    texts = ["\n".join(stories[n : n + 30]) for n in (0, 30, 60)]
    texts += [texts[1].replace("house", "garden"), stories[100], texts[0] + "\n" + texts[1]]
    paths = [tmp_path / f"{n}.txt" for n in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    whole = find_copies(survey(paths), np.ones(len(texts), dtype=bool))
    monkeypatch.setattr(readers, "PART", 3000)
    monkeypatch.setattr(batch, "_BYTES", 7000)
    parts = survey(paths)
    assert parts.documents.comparable.all()
    found = find_copies(parts, np.ones(len(texts), dtype=bool)).alike
    assert found.leader.tolist() == whole.alike.leader.tolist() == [-1, -1, -1, 1, -1, -1]
    np.testing.assert_allclose(found.similarity, whole.alike.similarity, atol=0.02)
    assert findings(*paths)["alike"].examples == (f"{paths[3]} = {paths[1]}",)


def test_batches_make_no_difference(write, stories, monkeypatch) -> None:
    path = write("a.jsonl", [*stories, stories[3]])
    whole = survey([path])
    monkeypatch.setattr(batch, "_BYTES", 3000)
    parts = survey([path])
    for name in ("languages", "longest", "troubles", "comparable", "signatures"):
        np.testing.assert_array_equal(
            getattr(whole.documents, name), getattr(parts.documents, name)
        )
    np.testing.assert_array_equal(whole.passages, parts.passages)
    np.testing.assert_array_equal(whole.passage_ends, parts.passage_ends)


def test_progress_is_told(write, stories, monkeypatch) -> None:
    monkeypatch.setattr("penjing.data.doctor.survey._TICK_S", 0.0)
    events: list[Event] = []
    survey([write("a.jsonl", stories)], listener=events.append)
    done = [event.data["done"] for event in events if event.kind == "job"]
    assert len(done) == 120 and done == sorted(done) and 0.9 < done[-1] <= 1
    assert {event.data["label"] for event in events} == {"reading"}


def test_everything_is_said_in_both_languages(write, stories) -> None:
    near = stories[7].replace("house", "garden")
    texts = [*stories, stories[1], near, "tiny", "x" * 2000, *TROUBLED.values()]
    texts += [f"A line that stands everywhere\n{text[:200]}" for text in stories[:20]]
    found = survey([write("a.jsonl", texts)], [write("b.jsonl", stories[:3])])
    diagnosis = diagnose(found)
    assert len(diagnosis) >= 11
    for language in ("en", "zh"):
        for finding in diagnosis:
            said, advice = describe(finding, language)
            assert said and advice and "{" not in said + advice
        rows = dict(overview(Examined(found, diagnosis), language))
        assert WORDS[language]["validation"] in rows
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    plain = json.loads(json.dumps(as_json(Examined(found, diagnosis))))
    assert plain["documents"] == len(texts)
    assert [row["kind"] for row in plain["findings"]] == [f.kind for f in diagnosis]
