"""Bytes that are text but for some: what the text around them is, and the text without them."""

import codecs
import re
from collections import Counter
from dataclasses import dataclass

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
# What a pair of ASCII characters looks like in UTF-16: Han and signs, but no kana.
_PAIR = re.compile(r"[\u2000-\u303f\u3100-\u7fff]")
_ESCAPED = re.compile("[\udc80-\udcff]")  # a byte that surrogateescape kept
_LOST = "\ufffd"
_MARKS = (  # the mark of UTF-32 LE begins with that of UTF-16 LE: the longer ones come first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DAMAGED = 0.02  # of the wide characters: above, it is another encoding, not damage
_LONGEST_LINE = 4096  # bytes, in which a stray byte is searched for


@dataclass(frozen=True)
class Repaired:
    """A text without what was damaged."""

    text: str  # line ends as they were
    encoding: str
    removed: int  # bytes (or characters that these made) that were left out


def marked(raw: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark tells, and the bytes of the mark; None without one."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding, len(mark)
    return None


def is_usual(text: str) -> bool:
    """Whether nearly all of its characters are such as texts are made of."""
    return bool(text) and _share(Counter(text), _USUAL) >= 0.98


def is_utf16(text: str, raw: bytes) -> bool:
    """Whether what was read of `raw` as UTF-16 is plainly text, and not pairs of letters."""
    pairs = 0.05 if _is_utf8_with_zeros(raw) else 0.5  # at most
    return is_chinese(text) or (is_usual(text) and _share(Counter(text), _PAIR) <= pairs)


def is_chinese(text: str) -> bool:
    """Whether it is plainly Chinese. Bytes of many encodings decode as GB18030; few as Chinese."""
    wide = Counter({char: n for char, n in Counter(text).items() if char > "\x7f"})
    # A lone é and the letter after it make one Han character between letters; and in a few words
    # of any language, the same one or two may happen to be common.
    side_by_side = sum(map(len, _WIDE_RUN.findall(text)))
    return bool(wide) and (
        _share(wide, _CHINESE) >= 0.97
        and _share(wide, _COMMON) >= 0.12
        and sum(1 for char in wide if _COMMON.match(char)) >= 6
        and side_by_side >= wide.total() / 2
    )


def is_sparse(raw: bytes) -> bool:
    """Whether the bytes are UTF-8 text but for a few zeros."""
    return raw.count(0) * 20 <= len(raw) and _is_utf8_with_zeros(raw)


def _is_utf8_with_zeros(raw: bytes) -> bool:
    try:
        return is_usual(raw.replace(b"\0", b"").decode("utf-8"))
    except UnicodeDecodeError:
        return False


def is_nearly_utf8(raw: bytes) -> bool:
    """Whether a few bytes spoil a text whose other wide characters are UTF-8."""
    found = _without_escaped(raw)
    return found is not None and not found[0].isascii()


def stray_byte(raw: bytes) -> int | None:
    """Where a byte stands that spoils a text of GB18030; None if it is no such text.

    A stray first half of a character takes the next byte for its second half, and so on to the end
    of the line: what fails is not what is at fault. So the byte is searched for, without which the
    line is the best Chinese.
    """
    if _without_lost(raw) is None:
        return None
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError as error:
        begin = raw.rfind(b"\n", 0, error.start) + 1
        end = raw.find(b"\n", error.start)
        line = raw[begin : end if end >= 0 else len(raw)]
        if len(line) > _LONGEST_LINE:
            return error.start
        return begin + _worst(line, error.start - begin)
    return None


def repair(raw: bytes) -> Repaired | None:
    """The text of UTF-8, UTF-16 or GB18030 without zeros and damaged bytes; None if it is neither.

    A file that is damaged in more than one place in fifty of its wide characters is taken for
    something else.
    """
    encoding, mark = marked(raw) or ("", 0)
    raw = raw[mark:]
    wide = encoding.startswith(("utf-16", "utf-32"))
    if wide or (b"\0" in raw and not is_sparse(raw)):
        for name in [encoding] if wide else ["utf-16-le", "utf-16-be"]:
            text = raw.decode(name, "replace")
            lost = text.count(_LOST)
            if (wide or is_utf16(text, raw)) and lost <= max(1, _DAMAGED * len(text)):
                return Repaired(text.replace(_LOST, ""), name, lost)
    zeros = raw.count(0)
    if wide or zeros * 20 > len(raw):
        return None
    raw = raw.replace(b"\0", b"")
    if (found := _without_escaped(raw)) is not None:
        return Repaired(found[0], "utf-8", zeros + found[1])
    if (found := _without_lost(raw)) is not None:
        return Repaired(found[0], "gb18030", zeros + found[1])
    return None


def _without_escaped(raw: bytes) -> tuple[str, int] | None:
    """UTF-8 without its stray bytes, and how many these were; None if they are too many."""
    clean, escaped = _ESCAPED.subn("", raw.decode("utf-8", "surrogateescape"))
    wide = sum(map(len, re.findall(r"[^\x00-\x7f]+", clean)))
    if escaped <= max(_DAMAGED * wide, 1e-3 * len(clean), 1) and is_usual(clean):
        return clean, escaped
    return None


def _without_lost(raw: bytes) -> tuple[str, int] | None:
    """GB18030 without its stray bytes, and how many these were; None if it is not Chinese.

    What it is, the lines tell that are whole: a stray byte makes rubbish of the rest of its line.
    """
    text = raw.decode("gb18030", "replace")
    whole = "\n".join(line for line in text.split("\n") if _LOST not in line)
    lost = text.count(_LOST)
    wide = sum(map(len, re.findall(r"[^\x00-\x7f]+", text)))
    if lost > max(1, _DAMAGED * wide) or not is_chinese(whole if whole.strip() else text):
        return None
    lines = [_mended(line) for line in raw.split(b"\n")]
    return "\n".join(line for line, _ in lines), sum(n for _, n in lines)


def _mended(line: bytes) -> tuple[str, int]:
    """A line without its stray bytes, one after the other, and how many these were."""
    removed = 0
    while len(line) <= _LONGEST_LINE:
        try:
            return line.decode("gb18030"), removed
        except UnicodeDecodeError as error:
            at = _worst(line, error.start)
            line, removed = line[:at] + line[at + 1 :], removed + 1
    text = line.decode("gb18030", "replace")
    return text.replace(_LOST, ""), removed + text.count(_LOST)


def _worst(line: bytes, failed: int) -> int:
    """The offset of the byte without which the line has the most common characters."""

    def merit(at: int) -> tuple[int, int, int]:
        text = (line[:at] + line[at + 1 :]).decode("gb18030", "replace")
        return -text.count(_LOST), len(_COMMON.findall(text)), -abs(at - failed)

    return max(range(min(failed + 2, len(line))), key=merit)


def _share(counts: Counter[str], kind: re.Pattern[str]) -> float:
    """The part of the characters that are of a kind."""
    return sum(n for char, n in counts.items() if kind.match(char)) / counts.total()
