"""The messages of a conversation: checked, and made into what a template may see."""

from collections.abc import Mapping, Sequence
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.tokenizer.alphabet import require_unicode

Message = Mapping[str, Any]  # "role" and "content", and what else a template reads

_CONTINUE = "CONTINUE_FINAL_MESSAGE_TAG "  # as in `transformers`
_REASONING = ("reasoning_content", "thinking", "reasoning")  # names in use for the same thing


def checked_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A copy of the messages, in which there is nothing but what JSON has.

    Raises:
        TokenizerError: there are none, or one is not a message.
    """
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        raise TokenizerError("A conversation is a list of messages, each with role and content.")
    if not messages:
        raise TokenizerError("The conversation is empty: it needs at least one message.")
    try:
        return [_checked(message, place) for place, message in enumerate(messages)]
    except RecursionError as error:
        raise TokenizerError("A message is nested too deeply, or in itself.") from error


def _checked(message: object, place: int) -> dict[str, Any]:
    where = f"Message {place}"
    if not isinstance(message, Mapping):
        raise TokenizerError(f'{where} is no object with "role" and "content": {message!r:.60}.')
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        raise TokenizerError(f'{where} has no role: "role" must be a text such as "user".')
    if not isinstance(content, str | list | None):
        raise TokenizerError(
            f"{where} ({role}): the content must be a text, or a list of parts, but it is of the "
            f"type {type(content).__name__}."
        )
    copy: dict[str, Any] = plain(message, where)
    return copy


def plain(value: Any, where: str) -> Any:
    """A copy of a value that holds only what JSON has: a template sees no other objects.

    Raises:
        TokenizerError: it holds something else, or text that is not valid Unicode.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        try:
            require_unicode(value)
        except TokenizerError as error:
            raise TokenizerError(f"{where}: {error}") from error
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key, where): plain(each, where) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, where) for each in value]
    raise TokenizerError(
        f"{where} holds an object of the type {type(value).__name__}; only text, numbers, lists "
        "and objects, as in JSON, can be given to a chat template."
    )


def with_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """What a model thought has several names; a template reads one of the first two."""
    thought = next((message[name] for name in _REASONING if message.get(name) is not None), None)
    if thought is None:
        return message
    return {"thinking": thought, **message, "reasoning_content": thought}


def tag_last(chat: list[dict[str, Any]]) -> str:
    """Mark the end of the last message's text, and give the text."""
    content = chat[-1].get("content")
    if isinstance(content, str):
        chat[-1]["content"] = content + _CONTINUE
        return content
    for part in reversed(content or []):
        if isinstance(part, dict) and isinstance(text := part.get("text"), str):
            part["text"] = text + _CONTINUE
            return text
    raise TokenizerError("The last message has no text that could be continued.")


def cut_at_tag(text: str, final: str) -> str:
    """The text up to the mark; where the template strips spaces, those of the message are gone."""
    if final.strip() not in text or _CONTINUE.strip() not in text:
        raise TokenizerError(
            "The last message cannot be continued: the chat template leaves out a part of it."
        )
    end = text.rindex(_CONTINUE.strip())
    kept = text[end : end + len(_CONTINUE)] == _CONTINUE
    return text[:end] if kept else text[:end].rstrip()
