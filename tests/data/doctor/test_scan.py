"""The compiled pass against the same in plain Python, over any text."""

import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.data.doctor.characters import (
    DIGIT,
    FIRST_SCRIPT,
    FIRST_SPACED,
    FIRST_UNWANTED,
    MARK,
    NEWLINE,
    OTHER,
    SCRIPTS,
    SPACE,
    class_table,
)
from penjing.data.doctor.line_hashes import LINE
from penjing.data.doctor.passages import EVERYTHING
from penjing.data.doctor.scan import Scanned, Scanner
from penjing.data.doctor.shingles import PASSAGE, SHINGLE
from penjing.tokenizer.scripts import UNSPACED, scripts_of

CLASSES = class_table()
any_text = st.text(
    st.one_of(
        st.sampled_from("aB é\n\n  .,人工智能はです今天1٣ไทย\u0301\u200b\ufeff😀𠮷Ã¼"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=200,
)


SCANNER = Scanner()


@pytest.fixture
def scanner() -> Scanner:
    return SCANNER


def scan(scanner: Scanner, *texts: str) -> Scanned:
    raws = [text.encode() for text in texts]
    return scanner.scan(b"".join(raws), np.cumsum([len(raw) for raw in raws]), EVERYTHING)


def words(text: str) -> list[str]:
    """Runs of letters and digits; each character of a script without spaces by itself."""
    found, word = [], ""
    for char in f"{text}\n":
        kind = CLASSES[ord(char)]
        if FIRST_UNWANTED <= kind < FIRST_SCRIPT:  # as if it were not there
            continue
        single = FIRST_SCRIPT <= kind < FIRST_SPACED
        if kind == DIGIT or kind >= FIRST_SPACED or (kind == MARK and word):
            word += char.lower() if len(char.lower()) == 1 and ord(char) < 0x590 else char
            continue
        found += [word] if word else []
        word = ""
        found += [char] if single else []
    return found


@given(st.lists(any_text, min_size=1, max_size=4))
def test_characters_and_words_are_counted(texts: list[str]) -> None:
    found = scan(SCANNER, *texts)
    for text, classes, n_words, shingles in zip(
        texts, found.classes, found.words, found.shingles, strict=True
    ):
        counts = Counter(int(CLASSES[ord(char)]) for char in text)
        assert {kind: n for kind, n in enumerate(classes.tolist()) if n} == dict(counts)
        n = len(words(text))
        assert (n_words, shingles) == (n, max(0, n - SHINGLE + 1))


def test_passages_are_told_by_their_words_alone(scanner: Scanner) -> None:
    text = " ".join(f"word{n}" for n in range(60)) + "。今天天气不错"
    same = text.upper().replace(" ", ",  \n")
    first, second = scan(scanner, text), scan(scanner, same)
    n = len(words(text))
    assert len(first.passage_hashes) == n - PASSAGE + 1
    np.testing.assert_array_equal(first.passage_hashes, second.passage_hashes)
    np.testing.assert_array_equal(first.signatures, second.signatures)
    other = scan(scanner, text.replace("word50", "worse"))
    assert len(set(first.passage_hashes.tolist()) & set(other.passage_hashes.tolist())) == 19


def test_nothing_reaches_from_one_document_into_the_next(scanner: Scanner) -> None:
    text = " ".join(f"word{n}" for n in range(33))
    apart, alone = scan(scanner, text[:100], text[100:]), scan(scanner, text)
    assert len(apart.passage_hashes) == 0 and len(alone.passage_hashes) == 2
    twice = scan(scanner, "x", text, "y")
    np.testing.assert_array_equal(twice.signatures[1], alone.signatures[0])
    np.testing.assert_array_equal(twice.passage_hashes, alone.passage_hashes)


@given(any_text)
def test_lines_that_are_long_enough_are_found(text: str) -> None:
    found = scan(SCANNER, text)
    raw = text.encode()
    expected = []
    separators = "\n\u2028\u2029"
    line = ""
    for char in f"{text}\n":
        if char not in separators:
            line += char
            continue
        kinds = [CLASSES[ord(c)] for c in line]
        shown = [kind for kind in kinds if kind != SPACE]
        if len(shown) + sum(FIRST_SCRIPT <= kind < FIRST_SPACED for kind in shown) >= LINE:
            spaces = "".join(c for c in set(line) if CLASSES[ord(c)] == SPACE)
            expected.append(line.strip(spaces) if spaces else line)
        line = ""
    assert [raw[begin:end].decode() for begin, end, _ in found.line_spans.tolist()] == expected
    by_text = dict(zip(expected, found.line_hashes.tolist(), strict=True))
    assert len(set(by_text.values())) == len(by_text)


def test_the_longest_run_without_space(scanner: Scanner) -> None:
    found = scan(scanner, "ab " + "x" * 500 + "\nshort", "今天" * 500, "")
    assert found.longest.tolist() == [500, 0, 0]


def test_utf8_that_was_read_as_latin_1(scanner: Scanner) -> None:
    text = "Die Straße führt über die Brücke."
    found = scan(scanner, text, text.encode().decode("latin-1"))
    assert found.mojibake.tolist() == [0, 4]


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.blocks], ids=lambda s: s.name)
def test_scripts_are_those_of_unicode(script) -> None:
    """Each letter in our blocks has the script that its name says: both tables of scripts agree."""
    number = FIRST_SCRIPT + SCRIPTS.index(script)
    own = [chr(code) for code in np.flatnonzero(number == CLASSES)]
    letters = [c for c in own if unicodedata.category(c)[0] == "L"]
    assert len(letters) > 20
    scripts, names = scripts_of("".join(letters))
    assert [c for c, n in zip(letters, scripts, strict=True) if names[n] != script.name] == []
    assert script.single == (script.name in UNSPACED)


def test_letters_of_no_script_are_few() -> None:
    """What people write is known: nearly all letters of the first plane."""
    letters = [c for c in map(chr, range(0xD800)) if unicodedata.category(c)[0] == "L"]
    unknown = [c for c in letters if CLASSES[ord(c)] == OTHER]
    assert len(unknown) < 0.12 * len(letters)


def test_line_ends_and_spaces() -> None:
    assert {int(CLASSES[ord(c)]) for c in "\n\u2028\u2029"} == {NEWLINE}
    assert {int(CLASSES[ord(c)]) for c in " \t\r\u3000\xa0"} == {SPACE}
