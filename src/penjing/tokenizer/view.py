r"""How a tokenizer cuts a text, as a reader wants to see it: every piece, and no broken character.

A piece may hold a part of a character, for tokens are bytes underneath. It is shown as those bytes
(`\xE4`), and `TextView.joined` says which pieces in a row make a whole character, and what it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from penjing.core.clusters import is_boundary, is_flag_letter
from penjing.tokenizer.alphabet import printable
from penjing.tokenizer.tokenizer import Tokenizer

_SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}
_JOINER = "\u200d"


@dataclass(frozen=True)
class Piece:
    """One token of a text."""

    id: int
    token: str  # as the vocabulary writes it: "Ġthe", "##ness", "▁the"
    raw: bytes  # what it stands for; nothing, if it is the unknown token
    text: str  # for showing: white space as signs, half characters as bytes
    start: int  # where it stands: bytes of the text's UTF-8, from `start` to before `end`
    end: int
    word: int | None  # the word that it is part of, from 0; None: an added token
    unknown: bool  # the vocabulary has nothing for these bytes


@dataclass(frozen=True)
class Joined:
    """Pieces that only together make whole characters."""

    first: int  # pieces from `first` to before `last`
    last: int
    text: str  # what they make


@dataclass(frozen=True)
class TextView:
    """A text and its pieces."""

    text: str
    pieces: tuple[Piece, ...]
    joined: tuple[Joined, ...]

    @property
    def ids(self) -> list[int]:
        """The ids that `Tokenizer.encode` gives."""
        return [piece.id for piece in self.pieces]

    @cached_property
    def raw(self) -> bytes:
        """The text's UTF-8, which the pieces' places count."""
        return self.text.encode("utf-8")

    def source(self, piece: Piece) -> str:
        """The text in a piece's place; for one that became the unknown token, what is lost."""
        return printable(self.raw[piece.start : piece.end])

    def words(self) -> Iterator[tuple[int, int]]:
        """Pieces from ... to before ..., for each word; an added token is no word."""
        first = 0
        for n in range(1, len(self.pieces) + 1):
            word = self.pieces[first].word
            if n == len(self.pieces) or self.pieces[n].word != word:
                if word is not None:
                    yield first, n
                first = n

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it; bytes as hexadecimal digits."""
        pieces = [asdict(piece) | {"raw": piece.raw.hex(" ")} for piece in self.pieces]
        joined = [asdict(each) for each in self.joined]
        return {"text": self.text, "pieces": pieces, "joined": joined}


def view_text(tokenizer: Tokenizer, text: str, *, allow_special: bool = False) -> TextView:
    """The pieces of a text, where they stand, and what they make together.

    Offsets are exact to the byte where the tokens' bytes are the text's. Where a tokenizer changes
    the text first (BERT's lower case), they are the whole characters that a piece was made of.

    Raises:
        TokenizerError: the text is not valid Unicode.
    """
    encoding = tokenizer.trace(text, allow_special=allow_special)
    ids: Sequence[int] = encoding.ids
    kinds = {id: _Kind.of(tokenizer, id) for id in set(ids)}
    added = tokenizer.are_added(text, encoding) if allow_special else [False] * len(ids)
    unknown = [id == tokenizer.unknown_id and not a for id, a in zip(ids, added, strict=True)]
    raws = [b"" if lost else kinds[id].raw for id, lost in zip(ids, unknown, strict=True)]
    spans = _exact(tokenizer, text, raws) or _whole_characters(text, encoding.offsets)
    words = _numbers(encoding.word_ids, added)
    rows = zip(ids, raws, spans, words, unknown, strict=True)
    pieces = tuple(
        Piece(id, kinds[id].token, raw, kinds[id].text, start, end, word, lost)
        for id, raw, (start, end), word, lost in rows
    )
    return TextView(text, pieces, tuple(_joined(text, spans)))


class _Kind(NamedTuple):
    """What is the same wherever a token stands."""

    token: str
    raw: bytes
    text: str

    @classmethod
    def of(cls, tokenizer: Tokenizer, id: int) -> "_Kind":
        token = tokenizer.token_of(id)
        return cls(token, tokenizer.pieces.to_bytes(token), shown(tokenizer, token))


def shown(tokenizer: Tokenizer, token: str) -> str:
    r"""A token of the vocabulary for showing: "Ġthe" is "␣the", a half character `\xE4`."""
    if not tokenizer.pieces.joinable:
        return visible(token)  # what it stands for depends on its neighbours
    return visible(printable(tokenizer.pieces.to_bytes(token)))


def visible(text: str) -> str:
    r"""White space as signs, and what cannot be seen by its number: `\u200d`.

    A joiner between two emoji is left as it is, and a combining mark gets a circle to sit on.
    """
    if text.isascii() and text.isprintable():
        return text.replace(" ", _SIGNS[" "])
    signs = [_sign(text, at) for at in range(len(text))]
    return "◌" + "".join(signs) if is_mark(text[:1]) else "".join(signs)


def is_mark(char: str) -> bool:
    """Whether a code point only shows upon another one."""
    return char.isprintable() and not is_boundary("x" + char, 1)


def _sign(text: str, at: int) -> str:
    char = text[at]
    if char in _SIGNS:
        return _SIGNS[char]
    if char.isprintable() or (char == _JOINER and 0 < at < len(text) - 1):
        return char
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _exact(tokenizer: Tokenizer, text: str, raws: Sequence[bytes]) -> list[tuple[int, int]] | None:
    """Where each token's bytes stand; None: they are not the text's in a row."""
    whole, joined = text.encode("utf-8"), b"".join(raws)
    before = len(joined) - len(whole)  # spaces that a SentencePiece vocabulary puts there
    if not 0 <= before <= tokenizer.pieces.strip_left or joined != b" " * before + whole:
        return None
    ends = [max(0, end - before) for end in accumulate(map(len, raws))]
    return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []


def _whole_characters(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    at = [0, *accumulate(len(char.encode("utf-8")) for char in text)]
    return [(at[start], at[end]) for start, end in offsets]


def _numbers(words: Sequence[int | None], added: Sequence[bool]) -> list[int | None]:
    """The words counted from 0, without those that are added tokens."""
    numbers: list[int | None] = []
    seen: dict[int | None, int] = {}
    for word, is_added in zip(words, added, strict=True):
        numbers.append(None if is_added else seen.setdefault(word, len(seen)))
    return numbers


def _joined(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[Joined]:
    """Runs of pieces whose boundaries lie within a character."""
    whole = text.encode("utf-8")
    follows = [*(start for start, _ in spans[1:]), len(whole)]  # where the next piece begins
    ends = _character_ends(text, {place for span in spans for place in span})
    first = 0
    for n, ((_, end), following) in enumerate(zip(spans, follows, strict=False)):
        # Between the two lies what a normalizer has left out, such as an accent that it composed.
        stop = end if end in ends else following
        if following >= end and stop in ends:
            if n > first:
                yield Joined(first, n + 1, whole[spans[first][0] : stop].decode("utf-8"))
            first = n + 1


def _character_ends(text: str, places: set[int]) -> set[int]:
    """Those of the places, in bytes, where a character ends; the end of the text is always one."""
    if text.isascii() and "\r" not in text:
        return places | {len(text)}
    at, flag_letters, ends = 0, 0, set()
    for n, char in enumerate(text):
        if at in places and is_boundary(text, n, flag_letters):
            ends.add(at)
        at += len(char.encode("utf-8"))
        flag_letters = flag_letters + 1 if is_flag_letter(char) else 0
    return ends | {at}
