"""Bytes to text, strictly: what is not certainly text in a known encoding is refused.

A wrong guess would train a model on garbage without a word, so there is none: UTF-8, anything with
a byte order mark, UTF-16 and GB18030 when the text that comes out is plainly text.
"""

import codecs
import re
from collections import Counter

from penjing.core.errors import DataError

_MARKS = (  # the mark of UTF-32 LE begins with that of UTF-16 LE: the longer ones come first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# The commonest characters of Chinese, modern and classical, simplified and traditional. In any
# Chinese text they are a third of all; in other encodings read as GB18030, next to none.
_COMMON = re.compile(
    "[的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过"
    "发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前"
    "開無何此與為這個們來國說時會對於著過發後種經現當沒動進樣裡間雲風山月日春花秋水長空者乎矣曰言"
    "，。、？！：；“”《》「」（）]"
)
# Han, its punctuation and its numbers; no kana, which is how Japanese EUC gives itself away.
_CHINESE = re.compile(
    r"[\u00b0-\u00b7\u00d7\u2010-\u203f\u2100-\u24ff\u3000-\u303f\u3400-\u9fff\ufe50-\ufe6f"
    r"\uff01-\uff5e\U00020000-\U0003ffff]"
)
_WIDE_RUN = re.compile(r"[^\x00-\x7f]{2,}")
# ASCII, Latin, Greek, Cyrillic, general punctuation, CJK and Hangul: nearly all of nearly any text.
_USUAL = re.compile(
    r"[\t\n\r -~\u00a0-\u024f\u0370-\u052f\u2010-\u2027\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3"
    r"\uff01-\uff5e]"
)


def decode_bytes(raw: bytes, source: str) -> str:
    """The text of a file, with "\\n" at line ends and no byte order mark.

    Args:
        raw: the whole file.
        source: its name, for errors.

    Raises:
        DataError: it is binary, or in an encoding that cannot be known for certain.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _newlines(_strict(raw, encoding, source, skip=len(mark)))
    if b"\0" in raw:
        return _newlines(_utf16(raw, source))
    try:
        return _newlines(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        chinese = _gb18030(raw)
        if chinese is None:
            raise DataError(
                f"{_place(raw, error.start, source)}: byte 0x{raw[error.start]:02X} is not UTF-8, "
                "and no other encoding is certain (a few words are too little to know GB18030 by). "
                "If you know which it is, convert the text first: iconv -f ENCODING -t UTF-8"
            ) from error
        return _newlines(chinese)


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _strict(raw: bytes, encoding: str, source: str, *, skip: int = 0) -> str:
    try:
        return raw[skip:].decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{_place(raw, skip + error.start, source)}: damaged {encoding.upper()}, "
            f"{error.reason}. Save the file again as UTF-8."
        ) from error


def _utf16(raw: bytes, source: str) -> str:
    """UTF-16 without a mark, if just one byte order gives text."""
    texts = []
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _share(Counter(text), _USUAL) >= 0.98:
            texts.append(text)
    if len(texts) == 1:
        return texts[0]
    raise DataError(
        f"{_place(raw, raw.index(0), source)}: a zero byte; this is a binary file, not text. "
        "If it is text in UTF-16, save it again as UTF-8."
    )


def _gb18030(raw: bytes) -> str | None:
    """The text, if it is Chinese. Bytes of many encodings decode as GB18030; few as Chinese."""
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    wide = Counter({char: n for char, n in Counter(text).items() if char > "\x7f"})
    # A lone é and the letter after it make one Han character between letters; and in a few words
    # of any language, the same one or two may happen to be common.
    side_by_side = sum(map(len, _WIDE_RUN.findall(text)))
    chinese = (
        _share(wide, _CHINESE) >= 0.97
        and _share(wide, _COMMON) >= 0.12
        and sum(1 for char in wide if _COMMON.match(char)) >= 6
        and side_by_side >= wide.total() / 2
    )
    return text if chinese else None


def _share(counts: Counter[str], kind: re.Pattern[str]) -> float:
    """The part of the characters that are of a kind."""
    return sum(n for char, n in counts.items() if kind.match(char)) / counts.total()


def _place(raw: bytes, offset: int, source: str) -> str:
    line = raw.count(b"\n", 0, offset) + 1
    return f"{source}, line {line}, byte {offset}"
