"""What bytes a token stands for, read from the "decoder" of a tokenizer.json."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penjing.tokenizer.alphabet import from_alphabet

_BYTE_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's name for one byte


@dataclass(frozen=True)
class Pieces:
    """How tokens become bytes, and their bytes a text."""

    to_bytes: Callable[[str], bytes]
    strip_left: int = 0  # spaces that decoding takes off the beginning of a text
    joinable: bool = True  # a text is its tokens' bytes in a row; False: it needs the decoder


def pieces_of(decoder: Mapping[str, Any] | None) -> Pieces:
    """The rule that a decoder amounts to; for one not known here, tokens stand for their text."""
    steps = _flatten(decoder)
    names = {step["type"] for step in steps}
    if names == {"ByteLevel"}:
        return Pieces(from_alphabet)
    if not names or not names <= {"Fuse", "ByteFallback", "Replace", "Strip", "Metaspace"}:
        return Pieces(str.encode, joinable=False)
    replacements: list[tuple[str, str]] = []
    strip_left = 0
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": old}, "content": new}:
                replacements.append((old, new))
            case {"type": "Metaspace", "replacement": old}:
                replacements.append((old, " "))
                strip_left = 0 if step.get("prepend_scheme") == "never" else 1
            case {"type": "Strip", "content": " ", "start": int(start), "stop": 0}:
                strip_left = start
            case {"type": "Fuse" | "ByteFallback"}:
                pass
            case _:
                return Pieces(str.encode, joinable=False)

    def to_bytes(token: str) -> bytes:
        if "ByteFallback" in names and (byte := _BYTE_FALLBACK.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        for old, new in replacements:
            token = token.replace(old, new)
        return token.encode("utf-8")

    return Pieces(to_bytes, strip_left)


def _flatten(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        return []
    if decoder["type"] == "Sequence":
        return [step for inner in decoder["decoders"] for step in _flatten(inner)]
    return [decoder]
