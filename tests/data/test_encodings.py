"""Text survives every encoding that is read; everything else is refused with its place."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import DataError
from penjing.data.encodings import decode_bytes

SENTENCES = [
    "今天天气不错，我们去公园散步吧。",
    "人工智能是计算机科学的一个分支，它研究怎样让机器做人的事。",
    "白日依山盡，黃河入海流。",
    "欲窮千里目，更上一層樓。",
    "Penjing (盆景) 是什么？它是在盆里种出来的山水。",
    "罕字也有：𠮷野家，㐂。",
    "plain English\n",
    "\n",
]
# Anything that can stand in a text file: no surrogates, no zero, no mark, no old line ends.
any_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), max_size=60
)
chinese = st.lists(st.sampled_from(SENTENCES), min_size=1).map("".join)


@given(any_text)
def test_utf8_round_trip(text: str) -> None:
    assert decode_bytes(text.encode("utf-8"), "a.txt") == text


@given(any_text, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_a_byte_order_mark_decides(text: str, encoding: str) -> None:
    assert decode_bytes(text.encode(encoding), "a.txt") == text


@given(any_text)
def test_big_endian_marks(text: str) -> None:
    assert decode_bytes(codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "a.txt") == text
    assert decode_bytes(codecs.BOM_UTF32_BE + text.encode("utf-32-be"), "a.txt") == text


@given(chinese, st.sampled_from(["gb18030", "utf-8"]))
def test_chinese_round_trip(text: str, encoding: str) -> None:
    assert decode_bytes(("我们的书。" + text).encode(encoding), "a.txt") == "我们的书。" + text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["Hello, world.\nA second line.\n", "你好，世界 (world)。\n再见。\n"]
)
def test_utf16_without_a_mark(text: str, encoding: str) -> None:
    assert decode_bytes(text.encode(encoding), "a.txt") == text


def test_line_ends_are_newlines() -> None:
    assert decode_bytes(b"a\r\nb\rc\nd", "a.txt") == "a\nb\nc\nd"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Die Straße führt über die Brücke.", "latin-1"),
        ("Le cœur a ses raisons que la raison ne connaît point.", "cp1252"),
        ("Все счастливые семьи похожи друг на друга.", "cp1251"),
        ("Все счастливые семьи похожи друг на друга.", "koi8-r"),
        ("오늘은 날씨가 좋습니다. 우리는 공원에 갑니다.", "euc-kr"),
        ("吾輩は猫である。名前はまだ無い。", "euc-jp"),
        ("吾輩は猫である。名前はまだ無い。", "shift-jis"),
        ("今天天氣真不錯，我們去公園散步吧。", "big5"),
    ],
)
def test_other_encodings_are_refused_not_guessed(text: str, encoding: str) -> None:
    with pytest.raises(DataError, match=r"is not UTF-8.*iconv"):
        decode_bytes(text.encode(encoding), "old.txt")


def test_the_place_of_a_bad_byte() -> None:
    with pytest.raises(DataError, match=r"old\.txt, line 3, byte 12: byte 0xE9"):
        decode_bytes(b"one\ntwo\ncaf\xc3\xa9".replace(b"\xc3\xa9", b"e\xe9"), "old.txt")


@pytest.mark.parametrize(
    "raw", [b"\x7fELF\x02\x01\x01\x00\x00", bytes(range(256)), b"PK\x03\x04\0"]
)
def test_binary_files_are_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.out, line \d+, byte \d+: a zero byte; .*binary"):
        decode_bytes(raw, "a.out")


def test_damaged_utf16_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.txt, line 1, byte 4: damaged UTF-16-LE"):
        decode_bytes(codecs.BOM_UTF16_LE + "a".encode("utf-16-le") + b"\x00\xd8", "a.txt")


@given(st.binary(max_size=80))
def test_any_bytes_give_text_or_a_data_error(raw: bytes) -> None:
    try:
        text = decode_bytes(raw, "x")
    except DataError:
        return
    assert "\r" not in text
    text.encode("utf-8")  # no half characters
