"""Where a large file may be cut, so that its stretches can be read and encoded each for itself."""

import codecs
import re
from pathlib import Path
from typing import BinaryIO

from penjing.core.errors import DataError
from penjing.data.encodings import Place, recognise

HEAD = 2**20  # bytes by which an encoding is recognised
WINDOW = 2**16  # bytes in which a place to cut is searched for, and then the next as many
_BEFORE = 8  # bytes before it that a boundary may depend on


def cut_lines(path: Path, size: int, step: int) -> list[int]:
    """Byte offsets about `step` apart, each at the beginning of a line; none in UTF-16 or UTF-32,
    where a byte 10 need not be a line feed.

    Raises:
        DataError: the file cannot be read.
    """
    with _opened(path) as file:
        if b"\0" in file.read(HEAD):
            return []
        places: list[int] = []
        at = step
        while at < size:
            file.seek(at)
            while block := file.readline(WINDOW):
                at += len(block)
                if block.endswith(b"\n"):
                    break
            if at < size:
                places.append(at)
            at += step
    return places


def cut_text(path: Path, size: int, step: int, boundary: re.Pattern[str] | None) -> list[int]:
    """Byte offsets about `step` apart, where cutting a text in UTF-8 changes no ids; none in
    another encoding, or where no boundary is known.

    Raises:
        DataError: the file cannot be read, or is not text.
    """
    if boundary is None:
        return []
    with _opened(path) as file:
        if recognise(file.read(HEAD), Place(str(path)), final=False).encoding != "utf-8":
            return []
        places: list[int] = []
        at = step
        while at < size:
            at = _next_boundary(file, at, size, boundary)
            if at < size:
                places.append(at)
            at += step
    return places


def read_text(path: Path, start: int, end: int) -> str:
    r"""A stretch of a text in UTF-8, with "\n" at line ends and no byte order mark.

    Raises:
        DataError: it is damaged, or not UTF-8; it says where.
    """
    with _opened(path) as file:
        file.seek(start)
        raw = file.read(end - start)
    if len(raw) < end - start:
        raise DataError(f"{path} has become shorter while it was read. Encode it anew.")
    at = raw.find(b"\0")
    if at < 0:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            at = error.start
    if at >= 0:
        place = Place(str(path), start, count_lines(path, start))
        raise DataError(
            f"{place.of(raw, at)}: byte 0x{raw[at]:02X} is not UTF-8 text. A large file is encoded "
            "in stretches and must be UTF-8 all through: convert it first (iconv -f ENCODING -t "
            "UTF-8), or let `penjing data clean --repair` leave out what is damaged."
        )
    text = text.removeprefix("\ufeff") if start == 0 else text
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def count_lines(path: Path, end: int) -> int:
    """Line feeds before a byte offset."""
    count = 0
    with _opened(path) as file:
        while end > 0 and (block := file.read(min(end, HEAD))):
            count += block.count(b"\n")
            end -= len(block)
    return count


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def _next_boundary(file: BinaryIO, at: int, size: int, boundary: re.Pattern[str]) -> int:
    """The first byte from `at` on where the text may be cut; `size`, if there is none."""
    while at < size:
        file.seek(max(0, at - _BEFORE))
        raw = file.read(at - file.tell() + WINDOW)
        here = min(at, _BEFORE)
        while here < len(raw) and _is_inside(raw[here]):
            here += 1
        first = 0
        while first < here and _is_inside(raw[first]):
            first += 1
        before = raw[first:here].decode("utf-8", "replace")
        after = codecs.getincrementaldecoder("utf-8")("replace").decode(raw[here:])
        found = _search(before + after, len(before), boundary)
        if found is not None:
            return at - min(at, _BEFORE) + here + len(after[: found - len(before)].encode("utf-8"))
        at += WINDOW
    return size


def _is_inside(byte: int) -> bool:
    """Whether a byte of UTF-8 is not the first of its character."""
    return byte & 0xC0 == 0x80


def _search(text: str, start: int, boundary: re.Pattern[str]) -> int | None:
    """The first boundary from `start` on that does not part a line end of two characters."""
    for match in boundary.finditer(text, start):
        at = match.start()
        if text[at - 1 : at + 1] != "\r\n":
            return at
    return None
