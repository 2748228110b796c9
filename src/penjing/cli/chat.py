"""A conversation on the screen: read a line, answer or obey, show how fast it went."""

import locale
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from penjing.cli.chat_commands import COMMANDS, Quit
from penjing.cli.console import make_console, show
from penjing.cli.text import safe
from penjing.core.errors import DataError, PenjingError
from penjing.core.table import suggest
from penjing.report.units import plural

if TYPE_CHECKING:
    from penjing.generate.conversation import Conversation, Reply

PROMPT, MORE = "> ", "  "


class Chat:
    """One conversation, with the sampling settings that hold for the next answer."""

    def __init__(self, conversation: "Conversation", sampling: dict[str, Any], name: str) -> None:
        self.conversation, self.sampling, self.name = conversation, sampling, name
        self.notes = make_console(stderr=True)
        self._shown = safe if sys.stdout.isatty() else str
        self._stop = False  # Ctrl-C was pressed during an answer

    def run(self, lines: TextIO) -> int:
        """Until /quit or the end of the input: 0, or 1 where a piped message could not be answered.

        Raises:
            DataError: the input is not UTF-8.
        """
        typed = lines.isatty()
        if typed:
            self._greet()
        failed = False
        for line in _typed() if typed else _piped(lines):
            try:
                self.take(line)
            except Quit:
                break
            except PenjingError as error:
                failed = not typed
                self.note(f"error: {error}", "red")
        return int(failed)

    def take(self, line: str) -> None:
        """A message or a command.

        Raises:
            Quit: the command to leave.
            PenjingError: it cannot be answered or obeyed; the conversation is as before.
        """
        if not line.strip():
            return
        if line.startswith("/") and not line.startswith("//"):
            word, _, rest = line[1:].partition(" ")
            if word not in COMMANDS:
                hint = suggest(f"/{word}", [f"/{name}" for name in COMMANDS])
                self.note(f"Unknown command /{word}.{hint} A message may begin with //.", "yellow")
                return
            COMMANDS[word].run(self, rest.strip())
            return
        self.answer(self.conversation.say(line.removeprefix("/"), **self.sampling))

    def answer(self, reply: "Reply") -> None:
        """Show an answer as it is made. Ctrl-C ends it; pressed again, it ends the chat."""
        if reply.forgotten:
            turns = "turn is" if reply.forgotten == 1 else f"{reply.forgotten} turns are"
            self.note(f"The context is full: the oldest {turns} forgotten.", "yellow")
        with self._interrupts():
            try:
                for step in reply:
                    print(self._shown(step.text), end="", flush=True)
                    if self._stop:
                        break
            finally:  # what comes next is not said in the midst of a line
                reply.close()
                print(flush=True)
        self.note(self._figures(reply), "dim")

    def note(self, text: str, style: str = "") -> None:
        """A line that is not the model's."""
        show(self.notes, text, style)

    def _greet(self) -> None:
        model = self.conversation.model
        self.note(
            f"{self.name}: context {model.context_length} tokens, {model.runner.name}. "
            "/help shows the commands; Ctrl-C stops an answer, Ctrl-D leaves.",
            "dim",
        )

    def _figures(self, reply: "Reply") -> str:
        parts = [plural(reply.n_tokens, "token")]
        if reply.tokens_per_second:
            parts.append(f"{reply.tokens_per_second:.0f} tokens/s")
        parts.append(f"first after {reply.first_seconds:.2f} s")
        read = f"{reply.n_prompt} read"
        parts.append(f"{read}, {reply.n_reused} of them known" if reply.n_reused else read)
        parts.append(f"seed {reply.seed}")
        ended = {"stop": "", "length": "; cut off: the context or --max-new-tokens is used up"}
        return ", ".join(parts) + ended.get(reply.finish_reason or "", "; stopped")

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """During an answer the first Ctrl-C is a wish: a pass that has begun is finished."""

        def wish(number: int, frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = True

        self._stop = False
        try:
            before = signal.signal(signal.SIGINT, wish)
        except ValueError:  # not in the main thread: there are no signals here
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _piped(lines: TextIO) -> Iterator[str]:
    """The lines of a file or a pipe, as UTF-8 whatever the locale."""
    for number, line in enumerate(getattr(lines, "buffer", lines), start=1):
        if isinstance(line, bytes):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"standard input, line {number}, byte {error.start}: byte "
                    f"0x{line[error.start]:02X} is not UTF-8. If you know the encoding, convert "
                    "the text first: iconv -f ENCODING -t UTF-8"
                ) from error
        else:
            text = line
        yield text.rstrip("\r\n")


def _typed() -> Iterator[str]:
    """Lines from a keyboard; a "\\" at the end lets the message go on in the next one.

    Ctrl-C empties the line; twice in a row, or Ctrl-D, it ends.
    """
    _edit_lines()
    pressed = False
    parts: list[str] = []
    while True:
        try:
            line = _ask(MORE if parts else PROMPT)
        except EOFError:
            print(file=sys.stderr)
            return
        except KeyboardInterrupt:
            print(file=sys.stderr)
            if pressed and not parts:
                return
            pressed, parts = True, []
            continue
        pressed = False
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield "\n".join([*parts, line])
        parts = []


def _edit_lines() -> None:
    """Lines can be edited and called back, by whole characters.

    Python reads UTF-8 even in the locale C, but readline would take each byte of it for a key.
    It asks the environment, and so it is told there.
    """
    if locale.setlocale(locale.LC_CTYPE) == "C":
        os.environ["LC_ALL"] = "C.UTF-8"
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401


def _ask(prompt: str) -> str:
    """A line from the keyboard. Where answers go to a file, the prompt does not."""
    if sys.stdout.isatty():
        return input(prompt)
    print(prompt, end="", file=sys.stderr, flush=True)
    return input()
