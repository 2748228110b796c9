"""The script of a character: another engine's Unicode tables are the judge."""

import unicodedata

import pytest
import regex

from penjing.tokenizer.scripts import SIGNS, UNSPACED, scripts_of

SCRIPTS = [
    "Latin", "Greek", "Cyrillic", "Armenian", "Georgian", "Hebrew", "Arabic", "Devanagari",
    "Bengali", "Tamil", "Thai", "Lao", "Tibetan", "Khmer", "Myanmar", "Ethiopic", "Hangul",
    "Hiragana", "Katakana", "Bopomofo", "Han", "Yi",
]  # fmt: skip
LETTERS = [char for char in map(chr, range(0x110000)) if unicodedata.category(char)[0] == "L"]


def names(text: str) -> list[str]:
    scripts, known = scripts_of(text)
    assert len(scripts) == len(text)
    return [known[n] for n in scripts]


OURS = dict(zip(LETTERS, names("".join(LETTERS)), strict=True))
PHONETIC = set("ᵝᵟᵡᶿ")  # Greek letters of phonetic writing, whose names do not say so: Latin to us


@pytest.mark.parametrize("script", SCRIPTS)
def test_letters_have_the_script_that_unicode_gives_them(script: str) -> None:
    pattern = regex.compile(rf"\p{{Script={script}}}")
    theirs = {char for char in OURS if pattern.match(char)} - PHONETIC
    ours = {char for char, found in OURS.items() if found == script} - PHONETIC
    assert len(theirs) > 30
    assert len(theirs - ours) <= 0.005 * len(theirs), sorted(theirs - ours)
    # Unicode calls some letters "Common" or "Inherited" that are of a script by their name.
    shared = regex.compile(r"[\p{Script=Common}\p{Script=Inherited}]")
    assert [char for char in ours - theirs if not shared.match(char)] == []


@pytest.mark.parametrize(
    ("char", "kind"),
    [
        ("a", "Latin"), ("ｚ", "Latin"), ("ᵃ", "Latin"), ("中", "Han"), ("𠮷", "Han"),
        ("〇", "Han"), ("々", "Han"), ("ー", "Katakana"), ("ｱ", "Katakana"), ("の", "Hiragana"),
        ("한", "Hangul"), ("й", "Cyrillic"), ("7", "digits"), ("Ⅷ", "digits"), ("½", "digits"),
        ("，", "punctuation"), (".", "punctuation"), ("+", "symbols"), ("𝐀", "symbols"),
        ("😀", "emoji"), ("☀", "emoji"), ("🏽", "emoji"), (" ", "spaces"), ("\u3000", "spaces"),
        ("\n", "spaces"), ("\x00", "controls"), ("\ufeff", "controls"), ("\ue000", "other"),
        ("\U0010ffff", "other"), ("\u0301", "other"),
    ],
)  # fmt: skip
def test_other_characters_are_kinds_of_signs(char: str, kind: str) -> None:
    assert names(char) == [kind]
    assert (kind in SIGNS) == (kind.islower())


def test_a_text() -> None:
    assert names("H今 7") == ["Latin", "Han", "spaces", "digits"]
    assert names("") == []


def test_accents_and_joiners_belong_to_the_character_before() -> None:
    assert names("e\u0301中\u0301") == ["Latin", "Latin", "Han", "Han"]
    assert set(names("👨\u200d👩\u200d👧\ufe0f")) == {"emoji"}
    assert names("\u0301\u0301a") == ["other", "other", "Latin"]


def test_a_non_joiner_belongs_to_the_word() -> None:
    assert set(names("می\u200cخواهم")) == {"Arabic"}


@pytest.mark.parametrize(
    ("char", "kind"),
    [("ⁿ", "Latin"), ("ℏ", "symbols"), ("ℵ", "symbols"), ("ℹ", "symbols"), ("ℇ", "symbols")],
)
def test_signs_of_mathematics_are_no_scripts(char: str, kind: str) -> None:
    assert names(char) == [kind]


def test_scripts_without_spaces_are_names_of_scripts() -> None:
    assert set(OURS.values()) >= UNSPACED
