"""What kinds of characters there are: scripts, and what does not belong into a text.

Each code point has one class, a small number. Scripts are told by blocks of Unicode; that Han is
simplified or traditional, by characters that only one of the two uses.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Classes: TypeAlias = NDArray[np.uint8]
N_CODE_POINTS = 0x110000

OTHER, SPACE, NEWLINE, DIGIT, MARK = range(5)  # OTHER: punctuation, symbols, emoji
LOST, CONTROL, INVISIBLE, PRIVATE, NO_CHARACTER = range(5, 10)
FIRST_UNWANTED = CONTROL  # classes from here on to the scripts mean nothing in a text
FIRST_SCRIPT = 10  # classes from here on are scripts


@dataclass(frozen=True)
class Script:
    """A script, by its code points; first and last of each block."""

    name: str
    blocks: tuple[tuple[int, int], ...]
    single: bool = False  # written without spaces: each character counts as a word


SCRIPTS = (
    Script(
        "Han",
        (
            (0x2E80, 0x2FDF),
            (0x3005, 0x3007),
            (0x3400, 0x4DBF),
            (0x4E00, 0x9FFF),
            (0xF900, 0xFAFF),
            (0x20000, 0x323AF),
        ),
        single=True,
    ),
    Script("Han, simplified", (), single=True),
    Script("Han, traditional", (), single=True),
    Script("Hiragana", ((0x3041, 0x309F),), single=True),
    Script(
        "Katakana",
        ((0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
        single=True,
    ),
    Script("Bopomofo", ((0x3105, 0x312F), (0x31A0, 0x31BF)), single=True),
    Script("Thai", ((0x0E01, 0x0E3A), (0x0E40, 0x0E4E)), single=True),
    Script("Lao", ((0x0E81, 0x0EDF),), single=True),
    Script("Khmer", ((0x1780, 0x17D3),), single=True),
    Script("Myanmar", ((0x1000, 0x103F), (0x1050, 0x108F)), single=True),
    Script("Tibetan", ((0x0F40, 0x0FBC),), single=True),
    Script(
        "Latin",
        (
            (0x41, 0x5A),
            (0x61, 0x7A),
            (0xAA, 0xAA),
            (0xBA, 0xBA),
            (0xC0, 0xD6),
            (0xD8, 0xF6),
            (0xF8, 0x2AF),
            (0x1E00, 0x1EFF),
            (0x2C60, 0x2C7F),
            (0xA722, 0xA7FF),
            (0xFB00, 0xFB06),
            (0xFF21, 0xFF3A),
            (0xFF41, 0xFF5A),
        ),
    ),
    Script(
        "Greek", ((0x370, 0x373), (0x376, 0x37D), (0x386, 0x3E1), (0x3F0, 0x3FF), (0x1F00, 0x1FFF))
    ),
    Script("Cyrillic", ((0x400, 0x52F), (0x1C80, 0x1C8A), (0x2DE0, 0x2DFF), (0xA640, 0xA69F))),
    Script("Armenian", ((0x531, 0x556), (0x560, 0x588))),
    Script("Hebrew", ((0x591, 0x5F4), (0xFB1D, 0xFB4F))),
    Script(
        "Arabic",
        (
            (0x610, 0x61A),
            (0x620, 0x65F),
            (0x66E, 0x6D3),
            (0x6D5, 0x6EF),
            (0x6FA, 0x6FF),
            (0x750, 0x77F),
            (0x8A0, 0x8FF),
            (0xFB50, 0xFDFF),
            (0xFE70, 0xFEFC),
        ),
    ),
    Script("Devanagari", ((0x900, 0x963), (0x971, 0x97F), (0xA8E0, 0xA8FF))),
    Script("Bengali", ((0x980, 0x9E3), (0x9F0, 0x9F1))),
    Script("Gurmukhi", ((0xA01, 0xA75),)),
    Script("Gujarati", ((0xA81, 0xAE3),)),
    Script("Oriya", ((0xB01, 0xB63),)),
    Script("Tamil", ((0xB82, 0xBD7),)),
    Script("Telugu", ((0xC00, 0xC63),)),
    Script("Kannada", ((0xC80, 0xCE3),)),
    Script("Malayalam", ((0xD00, 0xD63),)),
    Script("Sinhala", ((0xD81, 0xDDF),)),
    Script("Georgian", ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F))),
    Script("Hangul", ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xD7FB))),
    Script("Ethiopic", ((0x1200, 0x1360), (0x1380, 0x138F))),
    Script("Mongolian", ((0x1820, 0x18AA),)),
)
HAN, SIMPLIFIED, TRADITIONAL, HIRAGANA, KATAKANA = range(FIRST_SCRIPT, FIRST_SCRIPT + 5)
N_CLASSES = FIRST_SCRIPT + len(SCRIPTS)
FIRST_SPACED = FIRST_SCRIPT + sum(script.single for script in SCRIPTS)  # from here on: words

# The same words, as the two forms write them.
_SIMPLIFIED = (
    "国这们来说时会对于着发种经现当没动进样里间为学业东丝丢两严丧个丰临丽举么义乌乐乔习乡书买乱争亏亚产"
    "亲亿仅从仑仓仪价众优伙伟传伤伦伪体侠侣侦侧侨俭债倾偿储儿兑党兰关兴养兽冈册军农冯冲决况冻净凉减凤凭"
    "凯击凿刘则刚创删别刹剂剑剥剧劝办务劢劳势勋匀华协单卖卢卫却厂厅历厉压厌厕厢厦县双叠号叹吓吕吗听启吴"
    "呐员呛呜咏咙响哑哗唤啸喷嘱团园围图圆圣场坏块坚坛坝坟坠垄垒垦执报担择换据损摆摇撑"
)
_TRADITIONAL = (
    "國這們來說時會對於著發種經現當沒動進樣裡間為學業東絲丟兩嚴喪個豐臨麗舉麼義烏樂喬習鄉書買亂爭虧亞產"
    "親億僅從侖倉儀價眾優夥偉傳傷倫偽體俠侶偵側僑儉債傾償儲兒兌黨蘭關興養獸岡冊軍農馮衝決況凍淨涼減鳳憑"
    "凱擊鑿劉則剛創刪別剎劑劍剝劇勸辦務勱勞勢勛勻華協單賣盧衛卻廠廳歷厲壓厭廁廂廈縣雙疊號嘆嚇呂嗎聽啟吳"
    "吶員嗆嗚詠嚨響啞嘩喚嘯噴囑團園圍圖圓聖場壞塊堅壇壩墳墜壟壘墾執報擔擇換據損擺搖撐"
)
_AMBIGUOUS = set("于着里")  # in traditional text too, with other meanings


def class_table() -> Classes:
    """The class of every code point, (0x110000,)."""
    table = np.full(N_CODE_POINTS, OTHER, dtype=np.uint8)
    for number, script in enumerate(SCRIPTS, start=FIRST_SCRIPT):
        for first, last in script.blocks:
            table[first : last + 1] = number
    both = set(_SIMPLIFIED) & set(_TRADITIONAL)
    for number, characters in ((SIMPLIFIED, _SIMPLIFIED), (TRADITIONAL, _TRADITIONAL)):
        table[[ord(c) for c in characters if c not in both | _AMBIGUOUS]] = number
    table[list(range(0x30, 0x3A)) + list(range(0xFF10, 0xFF1A))] = DIGIT
    table[0x300:0x370] = MARK
    table[[0x20, 0x09, 0x0D, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]] = SPACE
    table[[0x0A, 0x2028, 0x2029]] = NEWLINE
    table[[*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)]] = CONTROL
    table[0xFFFD] = LOST
    bidi = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F]
    table[[0xAD, 0x200B, 0x2060, 0xFEFF, *bidi]] = INVISIBLE
    table[0xE000:0xF900] = PRIVATE
    table[0xF0000:] = PRIVATE
    table[0xFDD0:0xFDF0] = NO_CHARACTER
    table[0xFFFE::0x10000] = NO_CHARACTER
    table[0xFFFF::0x10000] = NO_CHARACTER
    return table


# Lead bytes of what is often read wrongly: Latin, Greek, Cyrillic, Hebrew, Arabic; punctuation,
# kana and Han; emoji. Not those whose letters stand before signs in sound text: "liberté »".
_LEADS = (*range(0xC2, 0xC6), *range(0xCE, 0xD2), *range(0xD7, 0xDA), *range(0xE2, 0xE9), 0xF0)


def misread_table() -> NDArray[np.uint8]:
    """The byte that a character stands for where UTF-8 was read as Latin-1 or Windows-1252, (M,).

    0 for characters that are no sign of it.
    """
    table = np.zeros(0x2123, dtype=np.uint8)
    table[0x80:0xC0] = range(0x80, 0xC0)
    table[list(_LEADS)] = _LEADS
    for byte in range(0x80, 0xA0):
        char = bytes([byte]).decode("cp1252", "ignore")
        if char:
            table[ord(char)] = byte
    return table


def lower_table() -> NDArray[np.uint32]:
    """The small letter of each code point of Latin, Greek, Cyrillic and Armenian, (0x590,)."""
    table = np.arange(0x590, dtype=np.uint32)
    for code in range(len(table)):
        small = chr(code).lower()
        if len(small) == 1:
            table[code] = ord(small)
    return table
