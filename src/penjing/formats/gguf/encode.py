"""A GGUF header as bytes: metadata and the list of tensors."""

import struct
from collections.abc import Mapping, Sequence

from penjing.formats.gguf.reader import MAGIC, TensorInfo
from penjing.quantization.ggml import BLOCK_TYPES

VERSION, ALIGNMENT = 3, 32

Plain = bool | int | float | str | Sequence[str] | Sequence[int] | Sequence[float]
_STRING, _ARRAY = 8, 9
_NUMBERS = {"I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}  # by the letters of struct
_F32_MAX = (2 - 2**-23) * 2.0**127


def header(metadata: Mapping[str, Plain], tensors: Mapping[str, TensorInfo], start: int) -> bytes:
    """All that comes before the data, padded. `start` is where the data begin in the file.

    Numbers are written as uint32, float32, and lists of int32; as 64 bits where these are too few.
    """
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [_text(key), _value(value)]
    for name, info in tensors.items():
        sizes = info.shape[::-1]  # the fastest first
        number = BLOCK_TYPES[info.type].number
        parts.append(_text(name))
        parts.append(
            struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, number, info.start - start)
        )
    return pad(b"".join(parts))


def pad(data: bytes) -> bytes:
    """The same up to the next place where a tensor may begin."""
    return data + b"\0" * (-len(data) % ALIGNMENT)


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", errors="replace")
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Plain) -> bytes:
    match value:
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case bool() | int() | float():
            form = _form([value], "I")
            return struct.pack(f"<I{form}", _NUMBERS[form], value)
        case _:
            return _array(value)


def _array(values: Sequence[str] | Sequence[int] | Sequence[float]) -> bytes:
    n = len(values)
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == n:
        return struct.pack("<IIQ", _ARRAY, _STRING, n) + b"".join(map(_text, texts))
    numbers = [value for value in values if not isinstance(value, str)]
    form = _form(numbers, "i")
    return struct.pack("<IIQ", _ARRAY, _NUMBERS[form], n) + struct.pack(f"<{n}{form}", *numbers)


def _form(values: Sequence[float], whole: str) -> str:
    """The letter of a type that holds all of them; of whole numbers `whole`, if that does."""
    if all(isinstance(value, bool) for value in values):
        return "?"
    if any(isinstance(value, float) for value in values):
        return "d" if any(_F32_MAX < abs(value) < float("inf") for value in values) else "f"
    low, high = {"I": (0, 2**32), "i": (-(2**31), 2**31)}[whole]
    if all(low <= value < high for value in values):
        return whole
    return "q" if min(values) < 0 else "Q"
