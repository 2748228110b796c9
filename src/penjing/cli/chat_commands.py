"""What can be said to the chat itself: lines that begin with /."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from penjing.core.errors import ConfigError
from penjing.core.table import Table
from penjing.tokenizer.alphabet import require_unicode

if TYPE_CHECKING:
    from penjing.generate.conversation import Conversation, Reply


class Chat(Protocol):
    """What a command may do."""

    conversation: "Conversation"
    sampling: dict[str, Any]  # for the next answer

    def note(self, text: str, style: str = "") -> None:
        """Say something."""

    def answer(self, reply: "Reply") -> None:
        """Show an answer as it is made."""


class Quit(Exception):  # noqa: N818 (nothing went wrong)
    """The user leaves."""


@dataclass(frozen=True)
class Command:
    """One command: what follows it, what it does, and how."""

    takes: str
    summary: str
    run: Callable[[Chat, str], None]


def _sets(name: str, read: Callable[[str], float]) -> Callable[[Chat, str], None]:
    """A command that shows a sampling setting, or gives it a new value."""

    def run(chat: Chat, rest: str) -> None:
        if rest:
            sampling = {key: value for key, value in chat.sampling.items() if key != name}
            if rest != "auto":
                try:
                    sampling[name] = read(rest)
                except ValueError as error:
                    kind = "a whole number" if read is int else "a number"
                    raise ConfigError(f"{name} is {kind} or auto, not {rest!r}.") from error
            chat.conversation.model.params(**sampling)  # refuses what is out of range
            chat.sampling = sampling
        value = getattr(chat.conversation.model.params(**chat.sampling), name)
        chat.note(f"{name}: {'a new one each time' if value is None else value}", "dim")

    return run


def _system(chat: Chat, rest: str) -> None:
    if rest:
        require_unicode(rest)
        chat.conversation.system = None if rest == "none" else rest
    told = chat.conversation.system
    chat.note("There is no system message." if told is None else f"system: {told}", "dim")


def _reset(chat: Chat, rest: str) -> None:
    chat.conversation.reset()
    chat.note("All turns are forgotten.", "dim")


def _save(chat: Chat, rest: str) -> None:
    path = _path("save", rest)
    chat.conversation.save(path)
    chat.note(f"{len(chat.conversation.messages)} messages are in {path}", "dim")


def _load(chat: Chat, rest: str) -> None:
    path = _path("load", rest)
    chat.conversation.load(path)
    chat.note(f"{len(chat.conversation.messages)} messages from {path}", "dim")


def _retry(chat: Chat, rest: str) -> None:
    chat.answer(chat.conversation.retry(**chat.sampling))


def _quit(chat: Chat, rest: str) -> None:
    raise Quit


def _help(chat: Chat, rest: str) -> None:
    for name, command in COMMANDS.items():
        chat.note(f"  {f'/{name} {command.takes}':<16} {command.summary}")
    chat.note(
        "A line that ends with \\ goes on in the next one. Ctrl-C stops an answer; twice, or "
        "Ctrl-D, leaves."
    )


def _path(command: str, rest: str) -> Path:
    if not rest:
        raise ConfigError(f"Name a file: /{command} talk.json")
    try:
        return Path(rest).expanduser()
    except RuntimeError as error:  # such as ~nobody/talk.json
        raise ConfigError(f"{rest} begins with the home of a user who is unknown here.") from error


COMMANDS: Table[Command] = Table(
    "command",
    {
        "temp": Command("[X]", "divides the logits; 0 is greedy", _sets("temperature", float)),
        "top_p": Command("[P]", "keep the likeliest tokens up to P", _sets("top_p", float)),
        "top_k": Command("[K]", "keep the K likeliest tokens; 0 keeps all", _sets("top_k", int)),
        "min_p": Command("[P]", "drop what is below P of the likeliest", _sets("min_p", float)),
        "max": Command("[N]", "tokens of an answer at most", _sets("max_new_tokens", int)),
        "seed": Command("[N]", "the same seed gives the same answer", _sets("seed", int)),
        "system": Command("[TEXT]", "what the model is told before all else; or none", _system),
        "retry": Command("", "another answer to the last question", _retry),
        "reset": Command("", "forget all turns", _reset),
        "save": Command("FILE", "write the conversation as JSON", _save),
        "load": Command("FILE", "go on with a saved one", _load),
        "help": Command("", "this list", _help),
        "quit": Command("", "leave", _quit),
    },
)
