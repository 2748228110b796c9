"""Bytes to text, strictly: what is not certainly text in a known encoding is refused.

A wrong guess would train a model on garbage without a word, so there is none: UTF-8, anything with
a byte order mark, UTF-16 and GB18030 when the text that comes out is plainly text.
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from penjing.core.errors import DataError
from penjing.data.damage import (
    is_chinese,
    is_nearly_utf8,
    is_sparse,
    is_utf16,
    marked,
    stray_byte,
)
from penjing.data.seven_bit import hidden_encoding

_UTF16 = ("utf-16-le", "utf-16-be")
WHOLE = 16 * 2**20  # bytes: files below are recognised as a whole, larger ones by so much of them
_CHUNK = 2**20


@dataclass(frozen=True)
class Place:
    """Where in a file some bytes begin: after so many bytes and lines."""

    source: str
    n_bytes: int = 0
    n_lines: int = 0

    def of(self, raw: bytes, offset: int, encoding: str = "utf-8") -> str:
        """`name, line 3, byte 57`, of an offset in the bytes that begin here."""
        place = self.after(raw[:offset], encoding)
        return f"{self.source}, line {place.n_lines + 1}, byte {place.n_bytes}"

    def after(self, raw: bytes, encoding: str = "utf-8") -> "Place":
        """Where the bytes that follow `raw` begin."""
        wide = encoding.startswith(("utf-16", "utf-32"))  # where a byte 10 may be part of 上
        text = raw.decode(encoding, "ignore").encode("utf-8") if wide else raw
        return Place(self.source, self.n_bytes + len(raw), self.n_lines + text.count(b"\n"))


@dataclass(frozen=True)
class Recognised:
    """A text, and how it was encoded."""

    text: str  # line ends as they were
    encoding: str  # Python's name
    mark: int  # bytes of the byte order mark, 0 without


def decode_bytes(raw: bytes, source: str) -> str:
    r"""The text of a file, with "\n" at line ends and no byte order mark.

    Args:
        raw: the whole file.
        source: its name, for errors.

    Raises:
        DataError: it is binary, damaged, or in an encoding that cannot be known for certain.
    """
    text = recognise(raw, Place(source)).text
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def decode_stream(file: BinaryIO, source: str) -> Iterator[str]:
    """The same text piece by piece, in memory that does not grow with the file.

    A file above 16 MiB is recognised by its first 16 MiB, or, where these are ASCII alone, by the
    first MiB that is not.

    Raises:
        DataError: as `decode_bytes`; of a large file, once the reading comes to the place.
    """
    head = file.read(WHOLE)
    if len(head) < WHOLE:
        if head:
            yield decode_bytes(head, source)
        return
    place = Place(source)
    known = recognise(head, place, final=False)
    decoder = _Decoder(known.encoding)
    raw, skip, ascii_only = head, known.mark, known.encoding == "utf-8"
    while raw:
        following = file.read(_CHUNK)
        try:
            yield decoder.decode(raw[skip:], final=not following)
        except UnicodeDecodeError as error:
            if not ascii_only or decoder.encoding != "utf-8":
                at = _start(error, raw)
                raise _damaged(raw, at, place, decoder.encoding, error) from error
            encoding = recognise(raw, place, final=not following).encoding
            decoder = _Decoder(encoding)
            yield decoder.decode(raw, final=not following)
        ascii_only = ascii_only and raw[skip:].isascii()
        place, raw, skip = place.after(raw, decoder.encoding), following, 0


class _Decoder:
    """Decodes piece after piece; line ends become line feeds."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        inner = codecs.getincrementaldecoder(encoding)("strict")
        self._decoder = io.IncrementalNewlineDecoder(inner, translate=True)

    def decode(self, raw: bytes, *, final: bool) -> str:
        return self._decoder.decode(raw, final=final)


def recognise(raw: bytes, place: Place, *, final: bool = True) -> Recognised:
    """The text of some bytes, if its encoding is certain.

    Args:
        raw: a file, or the beginning of one.
        place: where `raw` begins, for errors.
        final: whether the file ends with `raw`; else its last character may be cut.

    Raises:
        DataError: it is not certain, or the bytes are damaged.
    """
    if place.n_bytes == 0 and (told := marked(raw)):
        encoding, mark = told
        try:
            return Recognised(_decode(raw[mark:], encoding, final), encoding, mark)
        except UnicodeDecodeError as error:
            raise _damaged(raw, mark + error.start, place, encoding, error) from error
    if b"\0" in raw:
        return _with_zeros(raw, place, final)
    try:
        text = _decode(raw, "utf-8", final)
    except UnicodeDecodeError as error:
        found = _chinese(raw, final)
        if found is None:
            raise _not_utf8(raw, error, place) from error
        return found
    if text.isascii() and (hidden := hidden_encoding(raw)):
        raise DataError(
            f"{place.of(raw, hidden.at)}: here begins a run of {hidden.encoding}, an encoding that "
            f"looks like ASCII and is none. Convert the text first: {hidden.conversion}"
        )
    return Recognised(text, "utf-8", 0)


def _decode(raw: bytes, encoding: str, final: bool) -> str:
    return codecs.getincrementaldecoder(encoding)("strict").decode(raw, final)


def _attempt(raw: bytes, encoding: str, final: bool) -> str | None:
    try:
        return _decode(raw, encoding, final)
    except UnicodeDecodeError:
        return None


def _chinese(raw: bytes, final: bool) -> Recognised | None:
    """GB18030, or UTF-16 of Han characters alone, if the text is plainly Chinese."""
    for encoding in ("gb18030", *_UTF16):
        text = _attempt(raw, encoding, final)
        if text is not None and is_chinese(text):
            return Recognised(text, encoding, 0)
    return None


def _with_zeros(raw: bytes, place: Place, final: bool) -> Recognised:
    """UTF-16 without a mark, if just one byte order gives text."""
    if is_sparse(raw):
        raise _zero_byte(raw, place)
    texts = [(encoding, _attempt(raw, encoding, final)) for encoding in _UTF16]
    found = [(encoding, text) for encoding, text in texts if text and is_utf16(text, raw)]
    if len(found) == 1:
        encoding, text = found[0]
        return Recognised(text, encoding, 0)
    raise _zero_byte(raw, place)


def _zero_byte(raw: bytes, place: Place) -> DataError:
    """What a zero byte in a file means, that is not plainly UTF-16."""
    at = raw.index(0)
    if is_sparse(raw):
        return DataError(
            f"{place.of(raw, at)}: a zero byte, in a text that is UTF-8 otherwise "
            f"({raw.count(0):,} of them). `penjing data clean --repair` takes them out."
        )
    for encoding in _UTF16:
        if is_utf16(raw.decode(encoding, "ignore"), raw):
            error = _first_error(raw, encoding)
            if error is not None:
                return _damaged(raw, error.start, place, encoding, error, " without a mark")
    return DataError(
        f"{place.of(raw, at)}: a zero byte; this is a binary file, not text. "
        "If it is text in UTF-16, save it again as UTF-8."
    )


def _not_utf8(raw: bytes, error: UnicodeDecodeError, place: Place) -> DataError:
    """Which byte is at fault: the one that no character of the likeliest encoding holds."""
    if is_nearly_utf8(raw):
        return _stray(raw, error.start, place, "UTF-8")
    at = stray_byte(raw)
    if at is not None:
        return _stray(raw, at, place, "Chinese in GB18030 (GBK)")
    return DataError(
        f"{place.of(raw, error.start)}: byte 0x{raw[error.start]:02X} is not UTF-8, "
        "and no other encoding is certain (a few words are too little to know GB18030 by). "
        "If you know which it is, convert the text first: iconv -f ENCODING -t UTF-8"
    )


def _stray(raw: bytes, at: int, place: Place, around: str) -> DataError:
    return DataError(
        f"{place.of(raw, at)}: byte 0x{raw[at]:02X} belongs to no character; the text around it is "
        f"{around}. Mend that place, or let `penjing data clean --repair` leave out what is "
        "damaged."
    )


def _first_error(raw: bytes, encoding: str) -> UnicodeDecodeError | None:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        return error
    return None


def _start(error: UnicodeDecodeError, raw: bytes) -> int:
    """Where in `raw` an incremental decoder stopped: it may have kept bytes from before."""
    kept = len(error.object) - len(raw)
    return max(0, error.start - max(0, kept))


def _damaged(
    raw: bytes, offset: int, place: Place, encoding: str, error: UnicodeDecodeError, form: str = ""
) -> DataError:
    where = place.of(raw, min(offset, len(raw)), encoding)
    return DataError(
        f"{where}: damaged {encoding.upper()}{form}, {error.reason}. "
        "Save the file again as UTF-8, or let `penjing data clean --repair` leave out what is "
        "damaged."
    )
