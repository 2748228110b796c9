"""A conversation with a model: turn after turn, within the model's context.

talk = Conversation(penjing.load("smollm2"), system="You answer in one sentence.")
for step in talk.say("What is a bonsai?"):
    print(step.text, end="", flush=True)
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from penjing.core.errors import DataError, GenerationError, TokenizerError
from penjing.core.files import write_json
from penjing.core.types import FinishReason, SamplingParams, TokenStep
from penjing.generate.engine.engine import Engine
from penjing.generate.engine.generation import Generation
from penjing.generate.load import LoadedModel
from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.chat import ChatTemplate
from penjing.tokenizer.chat_ids import encode_chat

ROLES = ("system", "user", "assistant")


class Conversation:
    """The messages so far, and the model that answers them.

    A turn is a user's message and the answer. All turns are read by one engine, so what an earlier
    turn has read is not computed again. Where the context is full, the oldest turns are forgotten
    as a whole; the system message and the new message never are. There is one answer at a time:
    what changes the turns closes the one that is still being made.

    Args:
        system: what the model is told before all else; None leaves that to the template.
        template: in place of the model's own, such as `ChatTemplate.of(tokenizer, source)`.
        stop: texts that end an answer, besides those of the sampling settings.

    Raises:
        TokenizerError: the model has no chat template, or a damaged one.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        system: str | None = None,
        template: ChatTemplate | None = None,
        stop: Sequence[str] = (),
    ) -> None:
        self.model, self.system, self.stop = model, system, tuple(stop)
        self.template = template or ChatTemplate.of(model.tokenizer)
        self.turns: list[dict[str, str]] = []  # messages of the user and the assistant, in turn
        self._reply: Reply | None = None  # the last one, which may still be open
        self._engine: Engine = model.engine(max_running=1, pass_tokens=512)

    @property
    def messages(self) -> list[dict[str, str]]:
        """All messages, with the system's first."""
        head = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*head, *self.turns]

    def say(self, text: str, **sampling: Any) -> "Reply":
        """Ask, and iterate over the steps of the answer; `sampling` as in `LoadedModel.generate`.

        What the model has said when the iteration ends, or is closed, is its message.

        Raises:
            GenerationError: the message is too long for the context, or a setting is out of range.
            ConfigError: an unknown setting.
            TokenizerError: the message is not valid Unicode, or the template refuses it.
        """
        self._settle()
        return self._ask(self.turns, text, sampling)

    def retry(self, **sampling: Any) -> "Reply":
        """Ask the last question again: as soon as something is said, the old answer is forgotten.

        Raises:
            GenerationError: nothing was asked yet; and as `say`.
        """
        self._settle()
        questions = [i for i, turn in enumerate(self.turns) if turn["role"] == "user"]
        if not questions:
            raise GenerationError("There is nothing to try again: nothing was asked yet.")
        last = questions[-1]
        return self._ask(self.turns[:last], self.turns[last]["content"], sampling)

    def _ask(self, turns: list[dict[str, str]], text: str, sampling: Mapping[str, Any]) -> "Reply":
        """An answer to `text` after these turns; if none comes of it, all is as it was."""
        params = self.model.params(**sampling)
        before = self.turns
        self.turns = [*turns, {"role": "user", "content": text}]
        try:
            ids, forgotten = self._fit(params)
            params = _also(params, self.stop)
            self._reply = Reply(self, self._engine.submit(ids, params), forgotten, before)
        except BaseException:
            self.turns = before
            raise
        return self._reply

    def _settle(self) -> None:
        """No answer is being made any more."""
        if self._reply is not None:
            self._reply.close()
            self._reply = None

    def reset(self) -> None:
        """Forget all turns, but not the system message."""
        self._settle()
        self.turns = []

    def ids(self) -> list[int]:
        """What the model would read now, up to where its answer begins.

        Raises:
            TokenizerError: there are no messages, or the template refuses them.
        """
        return encode_chat(self.model.tokenizer, self.messages, template=self.template)

    def close(self) -> None:
        """Give back the memory of what was read."""
        self._settle()
        self._engine.close()

    def save(self, path: str | Path) -> None:
        """Write the messages as a JSON file: {"messages": [...]}, as training data has them.

        Raises:
            StorageError: the disk refuses.
        """
        write_json(Path(path), {"messages": self.messages})

    def load(self, path: str | Path) -> None:
        """Go on with a conversation that was saved; on an error, this one stays as it is.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        messages = read_messages(Path(path))
        self._settle()
        system = (
            messages[0]["content"] if messages[:1] and messages[0]["role"] == "system" else None
        )
        self.system, self.turns = system, messages[system is not None :]

    def _fit(self, params: SamplingParams) -> tuple[list[int], int]:
        """The ids to be read, with room for an answer, and how many turns were forgotten.

        Where turns must go, a quarter of the context is made free: the beginning that is left can
        then be used again by the turns to come.
        """
        context = self.model.context_length
        room = min(params.max_new_tokens, max(1, context // 4))
        if len(ids := self.ids()) + room <= context:
            return ids, 0
        turns = self.turns
        starts = [i for i, turn in enumerate(turns) if turn["role"] == "user"]
        low, high = 0, len(starts) - 1  # turns to forget: at least low, at most all but the new one
        while low < high:
            middle = (low + high) // 2
            self.turns = turns[starts[middle] :]
            if len(self.ids()) + room <= context - context // 4:
                high = middle
            else:
                low = middle + 1
        self.turns = turns[starts[low] :]
        if len(ids := self.ids()) + room > context:
            raise GenerationError(
                f"The message is too long: with what belongs to it, it has {len(ids)} tokens, "
                f"but the context holds {context}, of which {room} are for the answer. "
                "Shorten it; it is never cut."
            )
        return ids, max(1, low)


class Reply(Iterator[TokenStep]):
    """An answer while it is being made: iterate over its steps, or `close()` it.

    Afterwards `text`, `finish_reason` (None if it was closed before its end) and the figures:
    `n_tokens`, `n_prompt` tokens read, of which `n_reused` were known from earlier turns;
    `first_seconds` until the first token, `seconds` in all; and `forgotten`, how many old turns no
    longer fitted into the context.
    """

    def __init__(
        self,
        conversation: Conversation,
        steps: Generation,
        forgotten: int,
        before: list[dict[str, str]],
    ) -> None:
        self.text = ""
        self.finish_reason: FinishReason | None = None
        self.forgotten, self.n_tokens = forgotten, 0
        self.first_seconds = self.seconds = 0.0
        self.steps = steps
        self._conversation, self._before = conversation, before
        self._began = perf_counter()
        self._done = False

    @property
    def n_prompt(self) -> int:
        return len(self.steps.prompt_ids)

    @property
    def n_reused(self) -> int:
        return self.steps.reused

    @property
    def seed(self) -> int:
        """The seed that repeats it."""
        return self.steps.seed

    @property
    def tokens_per_second(self) -> float:
        """After the first token; 0 where there was no second."""
        seconds = self.seconds - self.first_seconds
        return (self.n_tokens - 1) / seconds if seconds > 0 and self.n_tokens > 1 else 0.0

    def __next__(self) -> TokenStep:
        if self._done:
            raise StopIteration
        try:
            step = next(self.steps)
        except BaseException:  # its end, an error, or an interrupt
            self.close()
            raise
        self.seconds = perf_counter() - self._began
        self.n_tokens += 1
        if self.n_tokens == 1:
            self.first_seconds = self.seconds
        self.text += step.text
        if step.finish_reason is not None:
            self.finish_reason = step.finish_reason
            self.close()
        return step

    def close(self) -> None:
        """End it here. What was said is the answer; where nothing was, nothing was asked."""
        if self._done:
            return
        self._done = True
        self.steps.close()
        if self.text or self.finish_reason is not None:
            self._conversation.turns.append({"role": "assistant", "content": self.text})
        else:
            self._conversation.turns = self._before


def read_messages(path: Path) -> list[dict[str, str]]:
    """The messages of a saved conversation: a system message at most, then the turns.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    try:
        saved = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no saved conversation: it is not JSON ({error}).") from error
    messages = saved.get("messages") if isinstance(saved, Mapping) else None
    if not isinstance(messages, list):
        raise DataError(f'{path} is no saved conversation: it has no list "messages".')
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise DataError(f"{path}: message {place} has no text.")
        try:
            require_unicode(message["content"])
        except TokenizerError as error:
            raise DataError(f"{path}: message {place}: {error}") from error
        role = message.get("role")
        if role not in ROLES or (role == "system" and place > 0):
            raise DataError(
                f"{path}: message {place} has the role {role!r}; here are user and assistant, and "
                "one system message before them."
            )
    return [{"role": m["role"], "content": m["content"]} for m in messages]


def _also(params: SamplingParams, stop: Sequence[str]) -> SamplingParams:
    return replace(params, stop=(*params.stop, *stop)) if stop else params
