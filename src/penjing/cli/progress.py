"""A listener that shows a run as it goes: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from penjing.cli.console import make_console, show
from penjing.cli.describe import describe, step_line, style
from penjing.core.events import Event

LIVE_SECONDS = 1 / 8  # between two drawings of the live line; one takes rich some 0.2 ms
PLAIN_SECONDS = 5.0  # between two lines in a log
BAR, LEAST_BAR = 24, 10  # characters; a shorter one tells nothing
WIDE = 60  # columns, from which the bar comes before the last figures

# What is going on after an event, until the next one.
_NEXT = {
    "corpus": "reading the corpus",
    "fetch": "fetching",
    "data": "training the tokenizer",
    "tokenizer": "encoding the text, and measuring a trial step",
    "forecast": "counting what the baselines need",
    "resume": "reading the text",
    "start": "the first step",
}


class Progress:
    """Shows events and keeps the latest of each kind in `latest`. Used in a `with` block."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console or make_console()
        self.latest: dict[str, Event] = {}
        self._clock = clock
        self._drawn = float("-inf")
        terminal = self.console.is_terminal and not self.console.is_dumb_terminal
        self._live = (
            Live(console=self.console, auto_refresh=False, transient=True) if terminal else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
            self._draw("reading the text")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        self.latest[event.kind] = event
        if event.kind == "step":
            self._step(event)
            return
        if not self._is_last_sample(event) and (line := describe(event)):
            show(self.console, line, style(event))
        if event.kind in _NEXT:
            self._draw(_NEXT[event.kind])

    def _is_last_sample(self, event: Event) -> bool:
        """The last one is shown with the figures of the run."""
        start = self.latest.get("start")
        return (
            event.kind == "sample"
            and start is not None
            and event.data["step"] >= start.data["steps"]
        )

    def _step(self, event: Event) -> None:
        last = event.data["step"] == event.data["steps"]
        now = self._clock()
        if now - self._drawn < (LIVE_SECONDS if self._live else PLAIN_SECONDS) and not last:
            return
        self._drawn = now
        known = self.latest.get("eval")
        evaluated = known.data if known else None
        if self._live:
            width = self.console.width
            room = width - LEAST_BAR - 2 if width >= WIDE else width
            line = step_line(event.data, evaluated, room)
            self._draw(line, event.data["step"] / event.data["steps"])
        else:
            show(self.console, step_line(event.data, evaluated))

    def _draw(self, line: str, done: float | None = None) -> None:
        if self._live is None:
            return
        text = Text(no_wrap=True, overflow="crop")  # "…" is not in every encoding
        length = min(BAR, self.console.width - len(line) - 2)
        if done is not None and length >= LEAST_BAR:
            full = round(done * length)
            bar = "#-" if self.console.options.ascii_only else "━─"
            text.append(bar[0] * full, "green").append(bar[1] * (length - full), "dim").append("  ")
        self._live.update(text.append(line, "" if done is not None else "dim"), refresh=True)
