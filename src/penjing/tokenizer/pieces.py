"""What bytes a token stands for, read from the "decoder" of a tokenizer.json."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penjing.tokenizer.alphabet import from_alphabet

# A space beside a Chinese or Japanese character, or their punctuation: there none is written.
_UNSPACED = "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
NEEDLESS_SPACE = re.compile(f" (?={_UNSPACED})|(?<={_UNSPACED}) ")

_BYTE_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's name for one byte


# What WordPiece's decoder replaces in each token, if it cleans up, as `tokenizers` has it.
_CLEANUP = (
    *((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't")),
    *((" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")),
)


@dataclass(frozen=True)
class Spacing:
    """How WordPiece tokens become a text: with a space before each word."""

    prefix: str  # of a token that goes on within a word
    cleanup: bool  # no space before a full stop, and the like
    needless: re.Pattern[str] | None = None  # spaces of the whole text that are left out at last

    def written(self, token: str, *, is_first: bool) -> str:
        """What a token adds to a text."""
        if not is_first:
            goes_on = token.startswith(self.prefix)
            token = token[len(self.prefix) :] if goes_on else " " + token
        for old, new in _CLEANUP if self.cleanup else ():
            token = token.replace(old, new)
        return token


@dataclass(frozen=True)
class Pieces:
    """How tokens become bytes, and their bytes a text."""

    to_bytes: Callable[[str], bytes]
    strip_left: int = 0  # spaces that decoding takes off the beginning of a text
    strip_first: str = ""  # a sign that decoding takes off the first token, wherever it stands
    joinable: bool = True  # a text is its tokens' bytes in a row; False: it needs the decoder
    spacing: Spacing | None = None  # the decoder is this one, WordPiece's


def pieces_of(decoder: Mapping[str, Any] | None) -> Pieces:
    """The rule that a decoder amounts to; for one not known here, tokens stand for their text."""
    steps = _flatten(decoder)
    names = {step.get("type") for step in steps}
    if names == {"ByteLevel"}:
        return Pieces(from_alphabet)
    if (spacing := _spacing(steps)) is not None:
        prefix = spacing.prefix
        return Pieces(
            lambda token: token.removeprefix(prefix).encode("utf-8"),
            joinable=False,
            spacing=spacing,
        )
    if not names or not names <= {"Fuse", "ByteFallback", "Replace", "Strip", "Metaspace"}:
        return Pieces(str.encode, joinable=False)
    replacements: list[tuple[str, str]] = []
    strip_left, strip_first, fused = 0, "", False
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": old}, "content": new}:
                replacements.append((old, new))
            case {"type": "Metaspace", "replacement": old}:
                replacements.append((old, " "))
                if step.get("prepend_scheme") != "never":
                    strip_left, strip_first = 1, old
            case {"type": "Strip", "content": " ", "start": int(start), "stop": 0} if fused:
                strip_left = start
            case {"type": "Fuse" | "ByteFallback" as name}:
                fused = fused or name == "Fuse"
            case _:
                return Pieces(str.encode, joinable=False)

    def to_bytes(token: str) -> bytes:
        if "ByteFallback" in names and (byte := _BYTE_FALLBACK.fullmatch(token)):
            return bytes([int(byte[1], 16)])
        for old, new in replacements:
            token = token.replace(old, new)
        return token.encode("utf-8")

    return Pieces(to_bytes, strip_left, strip_first)


def _spacing(steps: Sequence[Mapping[str, Any]]) -> Spacing | None:
    """What WordPiece's decoder does, alone or followed by leaving out needless spaces."""
    needless = NEEDLESS_SPACE.pattern
    match steps:
        case [{"type": "WordPiece", "prefix": str(prefix), "cleanup": bool(cleanup)}]:
            return Spacing(prefix, cleanup)
        case [
            {"type": "WordPiece", "prefix": str(prefix), "cleanup": bool(cleanup)},
            {"type": "Fuse"},
            {"type": "Replace", "pattern": {"Regex": pattern}, "content": ""},
        ] if pattern == needless:
            return Spacing(prefix, cleanup, NEEDLESS_SPACE)
    return None


def _flatten(decoder: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if decoder is None:
        return []
    if decoder.get("type") == "Sequence":
        return [step for inner in decoder["decoders"] for step in _flatten(inner)]
    return [decoder]
