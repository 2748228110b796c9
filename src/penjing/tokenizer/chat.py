"""Chat templates: a conversation as the text that a model was trained to continue.

A template is a small Jinja program that comes with a model. Here it gives what it gives in
`transformers`, but it runs in a sandbox with bounded work (see `sandbox.py`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from traceback import walk_tb
from typing import Any

from jinja2 import Template
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.utils import Namespace

from penjing.core.errors import TokenizerError
from penjing.core.table import Table
from penjing.tokenizer.chat_messages import (
    Message,
    checked_messages,
    cut_at_tag,
    plain,
    tag_last,
    with_reasoning,
)
from penjing.tokenizer.sandbox import METER, SECONDS, ChatEnvironment, Meter
from penjing.tokenizer.tokenizer import Tokenizer

LONGEST = 128 * 1024  # characters of a template; the longest in use have some 20,000
LEAST_ROOM = 1_000_000  # characters that any template may write
ROOM = 16  # characters that it may write for each one of the conversation

# For a model that has no template. None is used unless somebody asks for it.
TEMPLATES: Table[str] = Table(
    "chat template",
    {
        "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' "
        "+ message['content'] + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
        "plain": "{% for message in messages %}{{ message['role'] | capitalize }}: "
        "{{ message['content'] }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}Assistant:{% endif %}",
    },
)


class ChatTemplate:
    """One template. Safe to use from several threads.

    Args:
        source: the Jinja text.
        names: what it may read besides the conversation, such as `bos_token`.

    Raises:
        TokenizerError: it is not a template; the message names the line.
    """

    def __init__(self, source: str, names: Mapping[str, str] | None = None) -> None:
        self.source = source
        self.names = dict(names or {})
        self._template = _compile(source)

    @classmethod
    def of(cls, tokenizer: Tokenizer, source: str | None = None) -> "ChatTemplate":
        """The tokenizer's own template, or `source` with the tokenizer's special tokens.

        Raises:
            TokenizerError: it has none, or a damaged one.
        """
        source = tokenizer.chat_template if source is None else source
        if source is None:
            raise TokenizerError(
                "This model has no chat template: it was not trained to talk, only to continue "
                f"texts. To talk with it all the same, choose one of: {', '.join(TEMPLATES)}."
            )
        return cls(source, special_names(tokenizer))

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        **variables: Any,
    ) -> str:
        """The conversation as a text.

        `add_generation_prompt` ends it with the head of the model's answer;
        `continue_final_message` leaves the last message open, for the model to go on with it.
        `tools` and `documents` are JSON objects, `variables` whatever else the template knows.

        Raises:
            TokenizerError: the messages are no messages, the template refuses them, or it asks for
                more work, memory or rights than it may have.
        """
        if add_generation_prompt and continue_final_message:
            raise TokenizerError(
                "add_generation_prompt begins a new message, continue_final_message goes on with "
                "the last one: choose one of them."
            )
        chat = [with_reasoning(message) for message in checked_messages(messages)]
        data: dict[str, Any] = {
            "tools": None if tools is None else plain(list(tools), "tools"),
            "documents": None if documents is None else plain(list(documents), "documents"),
            "add_generation_prompt": add_generation_prompt,
            **self.names,
            **plain(variables, "variables"),
        }
        if not continue_final_message:
            return self._run(data | {"messages": chat})
        final = tag_last(chat)
        return cut_at_tag(self._run(data | {"messages": chat}), final)

    def _run(self, data: dict[str, Any]) -> str:
        room = LEAST_ROOM + ROOM * len(json.dumps(data, ensure_ascii=False))
        meter = Meter(room, SECONDS)
        token = METER.set(meter)
        try:
            with _template_errors():
                parts = []
                for part in self._template.generate(**data):
                    meter.tick(len(part))
                    parts.append(part)
                return "".join(parts)
        finally:
            METER.reset(token)


def special_names(tokenizer: Tokenizer) -> dict[str, str]:
    """The tokens that templates know by name: "bos_token", "eos_token" and so on."""
    names: dict[str, str] = {}
    for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        token = tokenizer.settings.get(f"{name}_token")
        token = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(token, str):
            names[f"{name}_token"] = token
    return names


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Without Jinja's escapes for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    if len(pattern) > 100:
        raise SecurityError("a long format of a date")
    return datetime.now().strftime(pattern)


class _Namespace(Namespace):
    """Jinja's namespace, without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that `namespace(self=1)` is possible
        self, args = args[0], args[1:]
        names = dict(*args, **kwargs)
        for name in names:
            _refuse_private(name)
        Namespace.__init__(self, names)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        Namespace.__setitem__(self, name, value)


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace with the name {name!r}")


@lru_cache(maxsize=1)
def _environment() -> ChatEnvironment:
    environment = ChatEnvironment()
    environment.filters["tojson"] = environment.metered("tojson", _tojson)
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["namespace"] = _Namespace
    return environment


@lru_cache(maxsize=32)
def _compile(source: str) -> Template:
    if len(source) > LONGEST:
        raise TokenizerError(
            f"The chat template has {len(source):,} characters; at most {LONGEST:,} are allowed."
        )
    with _template_errors():
        return _environment().from_string(source)


@contextmanager
def _template_errors() -> Iterator[None]:
    """Whatever a template does wrong, as one clear error that names the line."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise TokenizerError(
            f"The chat template is damaged, line {error.lineno}: {error.message}"
        ) from error
    except (RecursionError, MemoryError) as error:
        raise TokenizerError("The chat template is nested too deeply.") from error
    except SyntaxError as error:  # of the Python that Jinja makes of it
        raise TokenizerError(f"The chat template is damaged: {error.msg}.") from error
    except SecurityError as error:
        raise TokenizerError(
            f"The chat template was stopped{_line(error)}: {_said(error)}. Templates run "
            "without access to files and to Python, and with bounded work; do not use this one."
        ) from error
    except UndefinedError as error:
        raise TokenizerError(f"The chat template fails{_line(error)}: {_said(error)}.") from error
    except TemplateError as error:
        raise TokenizerError(
            f"The chat template refuses this conversation{_line(error)}: {error}"
        ) from error
    except Exception as error:  # such as AssertionError, of a filter of Jinja's
        raise TokenizerError(f"The chat template fails{_line(error)}: {_said(error)}.") from error


def _said(error: BaseException) -> str:
    return str(error).rstrip(".")


def _line(error: BaseException) -> str:
    """Where in the template an error arose; Jinja gives its frames the template's lines."""
    lines = [
        line
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return f", line {lines[-1]}" if lines else ""
