"""Damaged bytes are left out, the rest stays as it was; what is no text is not made one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.data.damage import repair, stray_byte

TEXT = "我们的书，是一本好书。\n今天天气不错，我们去公园散步吧。\n人工智能是研究机器的科学。\n" * 4
ENGLISH = "It was the best of times, it was the worst of times.\nLe cœur a ses raisons.\n" * 4


@pytest.mark.parametrize("stray", [b"\xff", b"\x80", b"\0"])
@pytest.mark.parametrize("text", [TEXT, ENGLISH], ids=["Chinese", "English"])
def test_a_stray_byte_in_utf8_is_all_that_goes(stray: bytes, text: str) -> None:
    raw = text.encode()
    at = raw.index(b"\n") + 1
    found = repair(raw[:at] + stray + raw[at:])
    assert found is not None
    assert (found.text, found.encoding, found.removed) == (text, "utf-8", 1)


@given(st.integers(0, len(TEXT) - 1))
def test_a_stray_byte_between_characters_of_gbk(place: int) -> None:
    before, after = TEXT[:place].encode("gb18030"), TEXT[place:].encode("gb18030")
    found = repair(before + b"\xff" + after)
    assert found is not None
    assert (found.text, found.encoding, found.removed) == (TEXT, "gb18030", 1)


def test_a_stray_first_half_spoils_its_line_and_no_other() -> None:
    lines = TEXT.encode("gb18030").split(b"\n")
    lines[4] = lines[4][:10] + b"\xb0" + lines[4][10:]
    found = repair(b"\n".join(lines))
    assert found is not None and found.removed == 1
    expected = TEXT.split("\n")
    shown = found.text.split("\n")
    assert shown[:4] + shown[5:] == expected[:4] + expected[5:]
    assert sum(a == b for a, b in zip(shown[4], expected[4], strict=True)) >= len(shown[4]) - 2


def test_sound_bytes_come_back_whole() -> None:
    for text, encoding in ((TEXT, "utf-8"), (ENGLISH, "utf-8"), (TEXT, "gb18030")):
        found = repair(text.encode(encoding))
        assert found is not None and (found.text, found.removed) == (text, 0)
        assert stray_byte(text.encode(encoding)) is None


def test_utf16_without_its_last_byte() -> None:
    found = repair(ENGLISH.encode("utf-16-le")[:-1])
    assert found is not None and found.text == ENGLISH[:-1]


@pytest.mark.parametrize("text", [TEXT, ENGLISH], ids=["Chinese", "English"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_marked_text_without_its_last_byte(text: str, encoding: str) -> None:
    found = repair(f"\ufeff{text}".encode(encoding)[:-1])
    assert found is not None
    assert (found.text, found.encoding, found.removed) == (text[:-1], encoding, 1)


@pytest.mark.parametrize(
    "raw",
    [
        bytes(range(256)) * 4,
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        "Все счастливые семьи похожи друг на друга.".encode("koi8-r"),
        "吾輩は猫である。名前はまだ無い。".encode("shift-jis"),
    ],
    ids=["bytes", "png", "koi8-r", "shift-jis"],
)
def test_what_is_no_damaged_text_is_not_made_one(raw: bytes) -> None:
    assert repair(raw) is None


@given(st.binary(max_size=60))
def test_any_bytes_give_text_or_nothing(raw: bytes) -> None:
    found = repair(raw)
    if found is not None:
        found.text.encode("utf-8")
        assert "\0" not in found.text
