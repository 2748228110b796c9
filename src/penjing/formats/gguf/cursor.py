"""Reading a GGUF header from bytes that nobody vouches for: each step is checked before it is made.

What a number in the file asks for is held against what the file still has: a count of a million
strings needs eight million bytes, for each has a length. So no memory is taken that the file's own
size does not justify, and the limits below bound what a large file may ask for.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError

MAX_HEADER = 1 << 28  # bytes of metadata and tensor list; a vocabulary of 256k takes 20 MB
MAX_STRINGS = 1 << 22  # texts in all arrays together
MAX_TEXT = 1 << 24  # bytes of one text
MAX_NAME = (1 << 16) - 1  # bytes of a key or a tensor's name, as the format's description says
DAMAGED = "The file is damaged or was written only in part: fetch or make it again."

Value = bool | int | float | str | list[str] | NDArray[Any]

UINT8, BOOL, STRING, ARRAY = 0, 7, 8, 9
_SCALARS = {
    UINT8: ("<B", "<u1"),
    1: ("<b", "<i1"),
    2: ("<H", "<u2"),
    3: ("<h", "<i2"),
    4: ("<I", "<u4"),
    5: ("<i", "<i4"),
    6: ("<f", "<f4"),
    BOOL: ("<?", "?"),
    10: ("<Q", "<u8"),
    11: ("<q", "<i8"),
    12: ("<d", "<f8"),
}
_U64 = struct.Struct("<Q")
_READERS = {number: struct.Struct(form) for number, (form, _) in _SCALARS.items()}


class Cursor:
    """A place in the bytes of a file, which moves on with each value read.

    `where` is what is being read, for errors: "metadata 'general.name'", "tensor 12".
    """

    def __init__(self, data: NDArray[np.uint8], path: Path) -> None:
        self._data, self._path = data, path
        self._view = data.data  # a memoryview
        self._end = min(len(data), MAX_HEADER)
        self._strings_left = MAX_STRINGS
        self.position = 0
        self.where = "the header"

    def error(self, problem: str, advice: str = DAMAGED) -> CheckpointError:
        """An error that says which file, what in it, and at which byte."""
        return CheckpointError(
            f"{self._path}, {self.where}, byte {self.position:,}: {problem}. {advice}"
        )

    def u32(self) -> int:
        return int(self._scalar(4))

    def u64(self) -> int:
        return int(self._scalar(10))

    def count(self, of: str, *, each: int, limit: int) -> int:
        """A number of things of at least `each` bytes: no more than the file can hold."""
        n = self.u64()
        if n > limit or n * each > self._end - self.position:
            raise self.error(
                f"it claims {n:,} {of}, more than the "
                + (f"{limit:,} that are read" if n > limit else "rest of the file can hold")
            )
        return n

    def text(self, limit: int = MAX_TEXT) -> str:
        length = self.count("bytes of text", each=1, limit=limit)
        raw = self._take(length)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"a text is not UTF-8 ({error.reason})") from error

    def value(self) -> Value:
        """A number, a text, or an array of either; a number array is a view of the file."""
        kind = self.u32()
        if kind in _READERS:
            number: bool | int | float = self._scalar(kind)
            return number
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array()
        raise self.error(f"there is no type of value {kind}")

    def _array(self) -> Value:
        kind = self.u32()
        if kind == STRING:
            return self._texts()
        if kind not in _SCALARS:
            what = "arrays of arrays are not read" if kind == ARRAY else f"there is no type {kind}"
            raise self.error(what)
        dtype = np.dtype(_SCALARS[kind][1])
        n = self.count("numbers", each=dtype.itemsize, limit=MAX_HEADER)
        start = self.position
        self._take(n * dtype.itemsize)
        raw = self._data[start : self.position]
        return raw != 0 if kind == BOOL else raw.view(dtype)

    def _texts(self) -> list[str]:
        n = self.count("texts", each=8, limit=self._strings_left)
        self._strings_left -= n
        out: list[str] = []
        view, position, end, length_at = self._view, self.position, self._end, _U64.unpack_from
        try:
            for _ in range(n):  # as `text`, without a call for each of 100,000
                (length,) = length_at(view, position)
                start = position + 8
                position = start + length
                if length > MAX_TEXT or position > end:
                    self.position = start - 8
                    raise self.error(f"text {len(out):,} claims {length:,} bytes, too many")
                out.append(str(view[start:position], "utf-8"))
        except UnicodeDecodeError as error:
            self.position = start
            raise self.error(f"text {len(out):,} is not UTF-8 ({error.reason})") from error
        except struct.error as error:
            self.position = position
            raise self.error("the file ends here") from error
        self.position = position
        return out

    def _scalar(self, kind: int) -> Any:
        reader = _READERS[kind]
        (value,) = reader.unpack(self._take(reader.size))
        return value

    def _take(self, n: int) -> memoryview:
        if n > self._end - self.position:
            beyond = self._end == MAX_HEADER < len(self._data)
            raise self.error(
                f"the header is longer than the {MAX_HEADER:,} bytes that are read"
                if beyond
                else "the file ends here"
            )
        self.position += n
        return self._view[self.position - n : self.position]
