"""Structured output: at each step only the tokens are possible that a grammar allows.

JSON schemas, regular expressions and Lark grammars are compiled and followed by `llguidance` (an
extra): a lexer and an Earley parser over bytes, walked through a trie of all tokens, so tokens need
not end where the grammar's own words end.
"""

from collections.abc import Collection
from copy import copy
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from penjing.core.errors import GenerationError, TokenizerError
from penjing.core.types import Structure
from penjing.generate.sampling.structured_errors import explained, read_schema
from penjing.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLTokenizer

# A small model may else write white space for ever. Enough for a line feed and deep indentation.
WHITE_SPACE = r"[ \t\r\n]{0,40}"


class Grammar:
    """How far one text has come in its structure.

    Args:
        stop_ids: end tokens, allowed where the text may end.

    Raises:
        GenerationError: `llguidance` is missing, the structure is wrong, or the tokenizer's texts
            are not its tokens in a row.
    """

    def __init__(
        self, structure: Structure, tokenizer: Tokenizer, stop_ids: Collection[int] = ()
    ) -> None:
        guidance = _guidance()
        self._structure, self._vocab_size = structure, tokenizer.vocab_size
        self._stop_ids = [id for id in stop_ids if 0 <= id < tokenizer.vocab_size]
        with _LOCK:  # once for a tokenizer, and not by two threads
            vocabulary = _vocabulary(tokenizer)
        source = _source(structure)
        self._matcher = guidance.LLMatcher(vocabulary, source, log_level=0)
        if self._matcher.is_error():
            raise GenerationError(explained(structure, self._matcher.get_error()))
        self.finished = False  # the text is complete, and nothing can follow

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which tokens can come next (V,).

        Raises:
            GenerationError: none can, or the grammar is too intricate to be followed.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.unpackbits(bits, bitorder="little")[: self._vocab_size].view(np.bool_)
        if self._stop_ids:
            mask[self._stop_ids] = self._matcher.is_accepting()
        if not mask.any():
            raise self._stuck()
        return mask

    def add(self, id: int) -> None:
        """One more token of the text: an allowed one.

        Raises:
            GenerationError: the structure does not allow it here.
        """
        if id in self._stop_ids:
            self.finished = True
            return
        self._matcher.consume_token(id)
        self._check()
        self.finished = self._matcher.is_stopped()

    def fork(self) -> "Grammar":
        """The same place in the same structure, which goes on by itself."""
        twin = copy(self)
        twin._matcher = self._matcher.deep_copy()
        return twin

    @property
    def _name(self) -> str:
        return self._structure.kind.replace("_", " ").replace("json", "JSON")

    def _check(self) -> None:
        if self._matcher.is_error():
            what = self._matcher.get_error().partition("\n")[0]
            if what == "NoExtensionBias":
                raise self._stuck()
            raise GenerationError(f"The {self._name} cannot be followed any further: {what}.")

    def _stuck(self) -> GenerationError:
        return GenerationError(
            f"No token of the vocabulary can go on with the {self._name}: it lacks the characters "
            "that the structure wants here, or an end token."
        )


def _source(structure: Structure) -> str:
    """The structure in the form that `llguidance` compiles."""
    matcher = _guidance().LLMatcher
    match structure.kind:
        case "regex":
            source = matcher.grammar_from_regex(structure.text)
        case "lark":
            source = matcher.grammar_from_lark(structure.text)
        case _:
            schema = read_schema(structure)
            defaults = {"whitespace_flexible": True, "whitespace_pattern": WHITE_SPACE}
            try:
                source = matcher.grammar_from_json_schema(schema, defaults=defaults)
            except ValueError as error:
                raise GenerationError(f"The JSON schema cannot be used: {error}.") from error
    return str(source)


_LOCK = Lock()


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer) -> "LLTokenizer":
    """The bytes of all tokens, as a trie; it takes about a second for 100,000 of them.

    `llguidance` wants one end token. Ours may have none or several, so it gets one of its own,
    behind the last.
    """
    guidance = _guidance()
    if not tokenizer.pieces.joinable:
        raise GenerationError(
            f"Structured output needs a tokenizer whose tokens make up the text one after another; "
            f"a {tokenizer.kind!r} tokenizer with this decoder does not. Use a byte-level one."
        )
    vocabulary: LLTokenizer = guidance.LLTokenizer(guidance.TokenizerWrapper(_Tokens(tokenizer)))
    return vocabulary


class _Tokens:
    """A tokenizer as `llguidance.TokenizerWrapper` reads it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.tokens = [_bytes_of(tokenizer, id) for id in range(tokenizer.vocab_size)]
        self.tokens.append(b"<|end|>")
        self.eos_token_id = tokenizer.vocab_size
        self.bos_token_id = None
        self.special_token_ids = [*tokenizer.special_tokens.values(), self.eos_token_id]
        special = set(self.special_token_ids)
        self._ids = {raw: id for id, raw in enumerate(self.tokens) if raw and id not in special}
        self._longest = max(map(len, self._ids), default=0)

    def __call__(self, text: bytes) -> list[int]:
        """How the tokenizer cuts what the structure leaves no choice about.

        Tokens that are not exactly this text, such as one with a space put before it or an unknown
        one, are no use: then the longest token that fits is taken, again and again.
        """
        ids = self._tokenizer.encode(text.decode("utf-8", errors="replace"))
        if b"".join(self.tokens[id] for id in ids) == text:
            return ids
        ids, at = [], 0
        while at < len(text):
            pieces = (text[at : at + n] for n in range(self._longest, 0, -1))
            id = next((self._ids[piece] for piece in pieces if piece in self._ids), None)
            if id is None:
                break  # the vocabulary cannot spell it
            ids.append(id)
            at += len(self.tokens[id])
        return ids


def _bytes_of(tokenizer: Tokenizer, id: int) -> bytes:
    """The bytes of a token; none for an id that no token has."""
    try:
        return tokenizer.token_bytes(id)
    except TokenizerError:
        return b""


def _guidance() -> Any:
    """The library, imported when it is first needed.

    Raises:
        GenerationError: it is not installed.
    """
    try:
        import llguidance
    except ImportError as error:
        raise GenerationError(
            "Structured output needs the package llguidance, which is not installed: "
            "pip install 'penjing[structured]'"
        ) from error
    return llguidance
