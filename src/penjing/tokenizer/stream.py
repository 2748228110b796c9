"""Text from tokens, one token at a time, and never half a character."""

import codecs
from typing import Protocol

from penjing.core.errors import TokenizerError
from penjing.tokenizer.pieces import Spacing
from penjing.tokenizer.tokenizer import Tokenizer


class StreamDecoder:
    """Turns ids into text as they come; what is pushed and flushed is `tokenizer.decode(ids)`.

    Tokens are bytes: a rare Han character or an emoji may take several. Their bytes are held back
    until the character is whole; bytes that can no longer become one turn into U+FFFD, as Unicode
    recommends. There the two differ for a vocabulary with byte fallback (SentencePiece's <0xE4>):
    `tokenizers` turns all bytes of a run that is not UTF-8 into U+FFFD, the good ones too.

    Raises:
        TokenizerError: the tokenizer's decoder is not known here.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        if not (tokenizer.pieces.joinable or tokenizer.pieces.spacing):
            raise TokenizerError(
                f"A {tokenizer.kind!r} tokenizer with this decoder cannot be read token by token; "
                "decode all ids at once with Tokenizer.decode."
            )
        self._tokenizer = tokenizer
        self._skipped = frozenset(tokenizer.special_tokens.values() if skip_special else ())
        self._text = self._new()

    def push(self, id: int) -> str:
        """The text that became certain with this token; "" while a character is incomplete.

        Raises:
            TokenizerError: there is no such id.
        """
        return "" if id in self._skipped else self._text.push(id)

    def flush(self) -> str:
        """What is still held back, as U+FFFD; afterwards a new text can begin."""
        rest = self._text.flush()
        self._text = self._new()
        return rest

    def _new(self) -> "_Text":
        spacing = self._tokenizer.pieces.spacing
        return _Bytes(self._tokenizer) if spacing is None else _Words(self._tokenizer, spacing)


class _Text(Protocol):
    """A text that tokens are added to, and what of it is certain."""

    def push(self, id: int) -> str: ...

    def flush(self) -> str: ...


class _Bytes:
    """Tokens whose bytes make up the text in a row."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, pieces = tokenizer, tokenizer.pieces
        self._strip_first = pieces.strip_first
        self._strip_left = 0 if pieces.strip_first else pieces.strip_left
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, id: int) -> str:
        raw = self._tokenizer.token_bytes(id)
        if self._strip_first:
            token = self._tokenizer.token_of(id).replace(self._strip_first, "")
            raw, self._strip_first = self._tokenizer.pieces.to_bytes(token), ""
        return self._strip(self._utf8.decode(raw))

    def flush(self) -> str:
        return self._strip(self._utf8.decode(b"", final=True))

    def _strip(self, text: str) -> str:
        """Take the space off the beginning that SentencePiece vocabularies put there."""
        while text and self._strip_left:
            if text[0] != " ":
                self._strip_left = 0
                break
            text, self._strip_left = text[1:], self._strip_left - 1
        return text


class _Words:
    """WordPiece tokens. Whether a space at the end stays may depend on what follows."""

    def __init__(self, tokenizer: Tokenizer, spacing: Spacing) -> None:
        self._tokenizer, self._spacing = tokenizer, spacing
        self._is_first = True
        self._before = ""  # the last character that is certain
        self._held = ""  # a space behind it

    def push(self, id: int) -> str:
        token = self._tokenizer.token_of(id)
        text = self._held + self._spacing.written(token, is_first=self._is_first)
        self._is_first = False
        needless = self._spacing.needless
        if needless is None or not text:
            return text
        self._held = " " if text.endswith(" ") else ""
        certain = text.removesuffix(self._held)
        said = needless.sub("", self._before + certain)[len(self._before) :]
        self._before = certain[-1:] or self._before
        return said

    def flush(self) -> str:
        needless = self._spacing.needless
        if needless is None:
            return ""
        return needless.sub("", self._before + self._held)[len(self._before) :]
