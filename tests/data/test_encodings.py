"""Text survives every encoding that is read; everything else is refused with its place."""

import codecs
import io
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penjing.core.errors import DataError
from penjing.data import encodings
from penjing.data.encodings import decode_bytes, decode_stream

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
START = "我们的书，是一本好书。"  # enough to know Chinese by
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
    assert decode_bytes((START + text).encode(encoding), "a.txt") == START + text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["Hello, world.\nA second line.\n", "你好，世界 (world)。\n再见。\n"]
)
def test_utf16_without_a_mark(text: str, encoding: str) -> None:
    assert decode_bytes(text.encode(encoding), "a.txt") == text


@pytest.mark.parametrize(
    "raw", [b"a\0b\n", b"abcd\0e", b"hello\0world\n", b"a line\0", b"key\0val\0key\0val\0"]
)
def test_letters_and_a_zero_are_not_read_as_han(raw: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.txt, line 1, byte \d+: a zero byte"):
        decode_bytes(raw, "a.txt")


@given(st.text(st.sampled_from('etaoin shrdlu,.\n019{}"\0'), min_size=1, max_size=40))
def test_no_pairs_of_letters_become_han(text: str) -> None:
    try:
        found = decode_bytes(text.encode(), "a.txt")
    except DataError:
        return
    assert found.isascii()


@pytest.mark.parametrize(
    "text",
    ["Все счастливые семьи\n", "吾輩は猫である。名前はまだ無い。\n", "오늘은 날씨가 좋습니다\n"],
)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_other_scripts_in_utf16_without_a_mark(text: str, encoding: str) -> None:
    assert decode_bytes(text.encode(encoding), "a.txt") == text


def test_line_ends_are_newlines() -> None:
    assert decode_bytes(b"a\r\nb\rc\nd", "a.txt") == "a\nb\nc\nd"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Le régime de la monarchie.\n", "latin-1"),
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


# Words whose bytes may pair up into Han characters, alone or in a row.
WORDS = {
    ("latin-1", "cp1252"): "le régime de la monarchie été élève préféré à côté où déjà très après "
    "être français garçon leçon façon Noël maïs hôtel forêt fenêtre goût sûr août mère siècle "
    "dernière rivière désir école époque équipe état étude génie général idée liberté égalité "
    "Straße über Brücke führt schön größer Mädchen Tür Fuß müssen Österreich Äpfel Übung süß",
    ("euc-kr",): "오늘은 날씨가 좋습니다 우리는 공원에 갑니다 한국어 사람 사랑 하늘 바다 나무 학교 "
    "선생님 학생 책 물 밥 집 시간 나라 정부 대통령 국민 경제 사회 문화 역사 음악 영화 친구 가족 "
    "아버지 어머니 동생 아이 그리고 하지만 때문에 있다 없다 하다 되다 가다 것이다 무엇 어디 많이",
    (
        "euc-jp",
        "shift-jis",
    ): "吾輩は 猫である 名前はまだ無い 東京 日本 人間 時間 学校 先生 学生 世界 "
    "国家 政府 経済 社会 文化 歴史 音楽 映画 友達 家族 父 母 今日 明日 行く 来る 見る 食べる 山 川",
    ("cp1251", "iso8859-5", "koi8-r"): "все счастливые семьи похожи друг на друга каждая "
    "несчастливая семья по своему смешалось в доме он она они мы вы я ты быть время человек год "
    "дело жизнь день рука раз работа слово место лицо глаз вопрос сторона страна мир случай",
}
foreign = st.sampled_from([(e, words.split()) for names, words in WORDS.items() for e in names])


@settings(max_examples=1000)
@given(foreign, st.sampled_from([" ", ", ", "\n", ""]), st.data())
def test_words_of_other_languages_are_never_read_as_chinese(
    language: tuple[str, list[str]], separator: str, data: st.DataObject
) -> None:
    encoding, words = language
    text = separator.join(data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=12)))
    raw = text.encode(encoding, "ignore")
    assume(not is_utf8(raw))  # as 友達 in EUC-JP happens to be
    with pytest.raises(DataError, match="is not UTF-8"):
        decode_bytes(raw, "old.txt")


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_a_few_words_of_gb18030_are_not_certain_and_it_says_so_kindly() -> None:
    with pytest.raises(DataError, match=r"GB18030.*iconv -f ENCODING -t UTF-8$"):
        decode_bytes("你好".encode("gb18030"), "my file.txt")


def test_a_text_that_is_utf8_but_for_a_byte_is_called_so() -> None:
    raw = "été très bien\n".encode() * 50
    for damaged in (raw[:-3] + b"\xe9\n", raw + b"\xc3", raw[:15] + b"\xff" + raw[15:]):
        with pytest.raises(DataError, match=r"the text around it is UTF-8.*--repair"):
            decode_bytes(damaged, "a.txt")


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


TEXT = "我们的书，是一本好书。\n今天天气不错，我们去公园散步吧。\n人工智能是研究机器的科学。\n" * 3


@pytest.mark.parametrize("stray", [b"\xff", b"\x80", b"\xb0"])
@pytest.mark.parametrize("line", [0, 4])
def test_gbk_with_a_stray_byte_names_the_line_and_the_byte(stray: bytes, line: int) -> None:
    lines = TEXT.encode("gb18030").split(b"\n")
    lines[line] = lines[line][:10] + stray + lines[line][10:]
    raw = b"\n".join(lines)
    at = len(b"\n".join(lines[:line])) + bool(line) + 10
    with pytest.raises(
        DataError, match=rf"old\.txt, line {line + 1}, byte (\d+): byte 0x"
    ) as caught:
        decode_bytes(raw, "old.txt")
    said = re.search(r"byte (\d+)", str(caught.value))
    assert said and abs(int(said[1]) - at) <= 4
    assert "GB18030" in str(caught.value) and "data clean --repair" in str(caught.value)


def test_utf16_of_han_alone_has_no_zero_byte_and_is_known_all_the_same() -> None:
    text = "今天天气不错我们去公园散步吧这个是好的"
    for encoding in ("utf-16-le", "utf-16-be"):
        raw = text.encode(encoding)
        assert b"\0" not in raw and decode_bytes(raw, "a.txt") == text


def test_utf16_without_a_mark_that_is_cut_short() -> None:
    raw = TEXT.encode("utf-16-le")[:-1]
    with pytest.raises(DataError, match=rf"byte {len(raw) - 1}: damaged UTF-16-LE without a mark"):
        decode_bytes(raw, "a.txt")


def test_lines_of_utf16_are_counted_in_characters() -> None:
    """The first byte of 上 is that of a line feed."""
    raw = "上上上\n上海\n".encode("utf-16") + b"\x00\xd8"
    with pytest.raises(DataError, match=r"a\.txt, line 3, byte 16: damaged UTF-16-LE"):
        decode_bytes(raw, "a.txt")


def test_small_letters_with_a_zero_byte_are_not_read_as_utf16() -> None:
    """Every pair of them is a Han character in UTF-16."""
    with pytest.raises(DataError, match=r"a\.txt, line 1, byte 15: a zero byte, in .* UTF-8"):
        decode_bytes(b"some plain text\0 with a zero byte in it\n" * 9, "a.txt")


def test_zero_bytes_in_a_text() -> None:
    raw = b"plain text, line one\nline two\0 goes on here\nand line three\n"
    with pytest.raises(DataError, match=r"a\.txt, line 2, byte 29: a zero byte, in .* UTF-8"):
        decode_bytes(raw, "a.txt")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "WHOLE", 64)
    monkeypatch.setattr(encodings, "_CHUNK", 7)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "gb18030"]
)
def test_a_stream_gives_the_same_text(encoding: str) -> None:
    raw = TEXT.replace("\n", "\r\n").encode(encoding)
    pieces = list(decode_stream(io.BytesIO(raw), "a.txt"))
    assert "".join(pieces) == decode_bytes(raw, "a.txt") == TEXT
    assert len(pieces) > 10


@pytest.mark.usefixtures("small_pieces")
def test_a_stream_that_begins_with_ascii() -> None:
    for encoding in ("utf-8", "latin-1"):
        raw = b"plain\n" * 30 + "é\n".encode(encoding) * 3
        if encoding == "utf-8":
            assert "".join(decode_stream(io.BytesIO(raw), "a.txt")) == raw.decode()
        else:
            with pytest.raises(DataError, match=r"a\.txt, line 31, byte 180: byte 0xE9 is not UTF"):
                list(decode_stream(io.BytesIO(raw), "a.txt"))


@pytest.mark.usefixtures("small_pieces")
def test_a_stream_that_is_damaged_far_inside() -> None:
    raw = ("é\n" * 50).encode()
    with pytest.raises(DataError, match=r"a\.txt, line 51, byte 150: damaged UTF-8"):
        list(decode_stream(io.BytesIO(raw + b"\xff\n" + raw), "a.txt"))
