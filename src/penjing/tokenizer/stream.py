"""Text from tokens, one token at a time, and never half a character."""

import codecs

from penjing.core.errors import TokenizerError
from penjing.tokenizer.tokenizer import Tokenizer


class StreamDecoder:
    """Turns ids into text as they come; what is pushed and flushed is `tokenizer.decode(ids)`.

    Tokens are bytes: a rare Han character or an emoji may take several. Their bytes are held back
    until the character is whole; bytes that can no longer become one turn into U+FFFD, as Unicode
    recommends. There the two differ for a vocabulary with byte fallback (SentencePiece's <0xE4>):
    `tokenizers` turns all bytes of a run that is not UTF-8 into U+FFFD, the good ones too.

    Raises:
        TokenizerError: the tokenizer's texts are not its tokens' bytes in a row.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        if not tokenizer.pieces.joinable:
            raise TokenizerError(
                f"A {tokenizer.kind!r} tokenizer with this decoder cannot be read token by token; "
                "decode all ids at once with Tokenizer.decode."
            )
        self._tokenizer = tokenizer
        self._skipped = frozenset(tokenizer.special_tokens.values() if skip_special else ())
        self._reset()

    def push(self, id: int) -> str:
        """The text that became certain with this token; "" while a character is incomplete.

        Raises:
            TokenizerError: there is no such id.
        """
        raw = self._tokenizer.token_bytes(id)
        return "" if id in self._skipped else self._strip(self._utf8.decode(raw))

    def flush(self) -> str:
        """What is still held back, as U+FFFD; afterwards a new text can begin."""
        rest = self._strip(self._utf8.decode(b"", final=True))
        self._reset()
        return rest

    def _reset(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._strip_left = self._tokenizer.pieces.strip_left

    def _strip(self, text: str) -> str:
        """Take the space off the beginning that SentencePiece vocabularies put there."""
        while text and self._strip_left:
            if text[0] != " ":
                self._strip_left = 0
                break
            text, self._strip_left = text[1:], self._strip_left - 1
        return text
