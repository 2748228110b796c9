"""A conversation as token ids, in which nobody but the template can write special tokens.

Before the template is rendered, the special tokens in what people wrote are disguised: each of
their characters becomes one that occurs nowhere else. The template puts its own special tokens
around them. Then the text is cut at these, the disguise is taken off, and what lies between is
encoded as plain text. Text without special tokens gets the ids that it always had.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.tokenizer.chat import ChatTemplate
from penjing.tokenizer.chat_messages import Message, checked_messages, plain
from penjing.tokenizer.tokenizer import Tokenizer

_PRIVATE = range(0xF0000, 0x10FFFE)  # characters that Unicode leaves to private use


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    template: ChatTemplate | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    continue_final_message: bool = False,
    **variables: Any,
) -> list[int]:
    """The ids that a model reads for a conversation; by default, up to where its answer begins.

    A special token ("<|im_end|>") in a message, a tool or a document is plain text. Other added
    tokens ("<think>", "<tool_call>") are what they are in the assistant's messages, where the
    model wrote them, and plain text in all others. No begin token is added: templates have it.

    Raises:
        TokenizerError: see `ChatTemplate.render`; or the vocabulary has a special token that plain
            text turns into.
    """
    template = template or ChatTemplate.of(tokenizer)
    chat = checked_messages(messages)
    data = plain([chat, list(tools or ()), list(documents or ())], "The conversation")
    disguise = _Disguise(tokenizer, json.dumps(data, ensure_ascii=False) + template.source)
    text = template.render(
        [disguise.message(message) for message in chat],
        tools=None if tools is None else disguise.all(data[1]),
        documents=None if documents is None else disguise.all(data[2]),
        add_generation_prompt=add_generation_prompt and not continue_final_message,
        continue_final_message=continue_final_message,
        **variables,
    )
    if disguise.off(text) == text:
        return tokenizer.encode(text, allow_special=True)
    ids: list[int] = []
    for piece, id in tokenizer.cut_special(text):
        ids += [id] if id is not None else _encode_plain(tokenizer, disguise.off(piece), bool(ids))
    return ids


class _Disguise:
    """Characters for those of special tokens; `seen` is all text that it must not meet."""

    def __init__(self, tokenizer: Tokenizer, seen: str) -> None:
        special = _visible(tokenizer.special_tokens)
        added = _visible(tokenizer.added_tokens)
        alphabet = sorted(set("".join(added)))
        base = _free(len(alphabet), seen)
        self._on = {ord(char): chr(base + i) for i, char in enumerate(alphabet)}
        self._off = {base + i: char for i, char in enumerate(alphabet)}
        self._special, self._added = _any_of(special), _any_of(added)
        self._words = frozenset(added)  # tokens, where they are words
        self._heads = {token[:n] for token in special for n in range(1, len(token))}
        self._tails = {token[n:] for token in special for n in range(1, len(token))}
        self._longest = max(map(len, special), default=0)

    def message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message in disguise. A role that is a plain word stays: templates compare it."""
        role = message["role"]
        tokens = self._special if role == "assistant" else self._added
        disguised: dict[str, Any] = self.all(message, tokens)
        return disguised | ({"role": role} if role.isalpha() and role not in self._words else {})

    def all(self, value: Any, tokens: re.Pattern[str] | None = None) -> Any:
        """All texts in a value, in disguise."""
        if isinstance(value, str):
            return self._text(value, tokens or self._added)
        if isinstance(value, Mapping):
            tokens = tokens or self._added
            return {self._key(k, tokens): self.all(v, tokens) for k, v in value.items()}
        if isinstance(value, list):
            return [self.all(each, tokens) for each in value]
        return value

    def off(self, text: str) -> str:
        """The text as it was."""
        return text.translate(self._off)

    def _key(self, key: Any, tokens: re.Pattern[str]) -> Any:
        """A template knows keys by their names, so that plain words stay."""
        if not isinstance(key, str) or (key.isidentifier() and key not in self._words):
            return key
        return self._text(key, tokens)

    def _text(self, text: str, tokens: re.Pattern[str]) -> str:
        """Tokens in the text; and halves of one at its ends, which could join with a neighbour."""
        text = tokens.sub(lambda match: match[0].translate(self._on), text)
        for n in range(min(self._longest, len(text)), 0, -1):
            if text[:n] in self._tails and not text[:n].isspace():
                text = text[:n].translate(self._on) + text[n:]
                break
        for n in range(min(self._longest, len(text)), 0, -1):
            if text[-n:] in self._heads and not text[-n:].isspace():
                return text[:-n] + text[-n:].translate(self._on)
        return text


def _visible(tokens: Iterable[str]) -> list[str]:
    """Tokens of more than spaces: those do no harm, and templates strip them."""
    return [token for token in tokens if token.strip()]


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(tokens, key=len, reverse=True)
    return _compiled("|".join(map(re.escape, longest_first)) or "(?!)")


@lru_cache(maxsize=32)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _free(n: int, seen: str) -> int:
    """The first of `n` characters in a row that do not occur."""
    used = {ord(char) for char in set(seen) if ord(char) in _PRIVATE}
    for base in range(_PRIVATE.start, _PRIVATE.stop - n, max(1, n)):
        if used.isdisjoint(range(base, base + n)):
            return base
    raise TokenizerError("The conversation uses all characters that Unicode leaves free.")


def _encode_plain(tokenizer: Tokenizer, text: str, follows: bool) -> list[int]:
    """The ids of plain text that stands at the beginning, or follows a special token."""
    ids = tokenizer.encode(text)
    if follows and _prefixes_only_the_first(tokenizer):
        before = tokenizer.encode("\n")
        both = tokenizer.encode("\n" + text)
        if both[: len(before)] == before:
            ids = both[len(before) :]
    made = set(ids) & set(tokenizer.special_tokens.values())
    if made:
        token = tokenizer.token_text(min(made))
        raise TokenizerError(
            f"A message holds the text {token!r}, which this vocabulary turns into a special token "
            "even as plain text. Take it out of the message."
        )
    return ids


def _prefixes_only_the_first(tokenizer: Tokenizer) -> bool:
    """Whether a space is put before a text, but not after a special token in it."""
    special = next(iter(tokenizer.special_tokens), None)
    if special is None:
        return False
    return tokenizer.encode(special + "a", allow_special=True)[1:] != tokenizer.encode("a")
