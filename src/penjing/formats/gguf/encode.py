"""A GGUF header as bytes: metadata and the list of tensors."""

import struct
from collections.abc import Iterable, Mapping, Sequence

from penjing.formats.gguf.reader import MAGIC, TensorInfo
from penjing.quantization.ggml import BLOCK_TYPES

VERSION, ALIGNMENT = 3, 32

Plain = bool | int | float | str | Sequence[str] | Sequence[int] | Sequence[float]
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY, _U64 = 4, 5, 6, 7, 8, 9, 10


def header(metadata: Mapping[str, Plain], tensors: Mapping[str, TensorInfo], start: int) -> bytes:
    """All that comes before the data, padded. `start` is where the data begin in the file.

    Whole numbers are written as uint32 (those that need more as uint64), lists of them as int32.
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
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return (
                struct.pack("<IQ", _U64, value) if value >> 32 else struct.pack("<II", _U32, value)
            )
        case float():
            return struct.pack("<If", _F32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case _:
            return _array(value)


def _array(values: Sequence[str] | Sequence[int] | Sequence[float]) -> bytes:
    kinds = {type(value) for value in values}
    if kinds <= {str}:
        return _array_head(_STRING, len(values)) + b"".join(map(_text, _texts(values)))
    form, kind = ("f", _F32) if float in kinds else ("i", _I32)
    return _array_head(kind, len(values)) + struct.pack(f"<{len(values)}{form}", *values)


def _array_head(kind: int, n: int) -> bytes:
    return struct.pack("<IIQ", _ARRAY, kind, n)


def _texts(values: Iterable[object]) -> Iterable[str]:
    return (str(value) for value in values)
