"""`penjing chat`: talk with a model, turn after turn, in a terminal or through a pipe."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from penjing.cli.arguments import ANY_MODEL, OptionalInt, OptionalText, parse
from penjing.cli.verbs.generate import Repetition, Sampling, Surprise

if TYPE_CHECKING:
    from penjing.generate.load import LoadedModel
    from penjing.tokenizer.chat import ChatTemplate

_MODELS_OWN = arg(help_behavior_hint="(default: the model's)")

# Texts that end an answer where a template is borrowed, and the model knows no token for it.
_STOP = {"chatml": ("<|im_end|>",), "plain": ("\nUser:",)}


@dataclass(frozen=True)
class Arguments:
    """Talk with a model. Lines that begin with / are commands, /help shows them all.

    The answers go to standard output, all else to standard error. Through a pipe, each line is a
    message.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL", help=ANY_MODEL)]
    system: Annotated[OptionalText, arg(help_behavior_hint="(default: the template's)")] = None
    """what the model is told before all else"""
    template: Annotated[OptionalText, _MODELS_OWN] = None
    """for a model without a chat template: chatml, plain, or a file with a Jinja template"""
    context_length: Annotated[OptionalInt, _MODELS_OWN] = None
    """a shorter context, for less memory"""
    threads: int = 0
    """0 takes all processors"""
    max_new_tokens: int = 512
    """an answer ends after so many tokens, if not before"""
    stop: tuple[str, ...] = ()
    """an answer ends before any of these texts"""
    sampling: OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    repetition: OmitArgPrefixes[Repetition] = field(default_factory=Repetition)
    surprise: OmitArgPrefixes[Surprise] = field(default_factory=Surprise)

    def settings(self) -> dict[str, Any]:
        """What is not left to the model, by the names of `SamplingParams`."""
        groups = (self.sampling, self.repetition, self.surprise)
        values = {f.name: getattr(group, f.name) for group in groups for f in fields(group)}
        values |= {"max_new_tokens": self.max_new_tokens, "stop": self.stop}
        return {name: value for name, value in values.items() if value is not None}


def run(args: Sequence[str]) -> int:
    """Load, and talk until there is nothing more to be said."""
    arguments: Arguments = parse(Arguments, args, "chat")
    from penjing.cli.chat import Chat
    from penjing.cli.console import make_console, teller
    from penjing.generate.conversation import Conversation
    from penjing.generate.load import load

    model = load(
        arguments.model,
        threads=arguments.threads,
        context_length=arguments.context_length,
        listener=teller(make_console(stderr=True)),
    )
    conversation = Conversation(
        model,
        system=_system(arguments.system),
        template=_template(arguments.template, model),
        stop=_STOP.get(arguments.template or "", ()),
    )
    sampling = arguments.settings()
    model.params(**sampling)  # a wrong setting is said before the first message
    try:
        return Chat(conversation, sampling, name=arguments.model).run(sys.stdin)
    finally:
        conversation.close()
        model.close()


def _system(word: str | None) -> str | None:
    """The system message; standard input is for the messages, so that "-" is only a word."""
    from penjing.cli.prompt import read_prompt

    return word if word in (None, "-") else read_prompt(word)


def _template(word: str | None, model: "LoadedModel") -> "ChatTemplate":
    """The model's own template, or the one asked for."""
    from penjing.cli.arguments import command
    from penjing.core.errors import TokenizerError
    from penjing.tokenizer.chat import TEMPLATES, ChatTemplate
    from penjing.tokenizer.files import read

    tokenizer = model.tokenizer
    if word:
        source = (
            TEMPLATES[word] if word in TEMPLATES or not Path(word).exists() else read(Path(word))
        )
        return ChatTemplate.of(tokenizer, source)
    if tokenizer.chat_template is None:
        path = str(model.checkpoint.path)
        raise TokenizerError(
            "This model has no chat template: it was trained to continue texts, not to answer. "
            f"Let it continue one: {command('generate', path, '--prompt', 'Once')}. To talk with "
            f"it all the same: {command('chat', path, '--template', 'plain')}."
        )
    return ChatTemplate.of(tokenizer)
