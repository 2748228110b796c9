"""A study on the screen: which job runs and how long all will take; at the end its tables."""

from collections.abc import Sequence

from rich.console import Console

from penjing.cli.columns import aligned
from penjing.cli.console import show
from penjing.cli.progress import LIVE_SECONDS, Progress
from penjing.cli.text import indented
from penjing.core.events import Event
from penjing.report.units import clock
from penjing.study.parts import Part


class StudyProgress(Progress):
    """Shows "job" events, and those of reading a text as they always are."""

    _label = ""  # of the job that was shown last

    def __call__(self, event: Event) -> None:
        if event.kind != "job":
            super().__call__(event)
            return
        label, done = event.data["label"], event.data["done"]
        line = f"{done:4.0%}  {clock(event.data['eta'])} left  {label}"
        if self._live is None:
            if label != self._label:
                show(self.console, line)
        elif (now := self._clock()) - self._drawn >= LIVE_SECONDS:
            self._drawn = now
            self._draw(line, done)
        self._label = label


def show_parts(console: Console, parts: Sequence[Part], *, rehearsal: bool) -> None:
    """Each part as a table, with what it says; a rehearsal says nothing."""
    for part in parts:
        show(console, f"\n{part.title} · {part.title_zh}\n", "bold")
        for line in aligned([part.header, *part.rows]):
            show(console, f"  {line}")
        for name, text in part.samples:
            show(console, f"\n  {name}:\n{indented(text, '  | ')}")
        if part.claims and not rehearsal:
            show(console, "")
        for claim in part.claims if not rehearsal else ():
            mark, style = ("+", "green") if claim.holds else ("-", "yellow")
            said = claim.text if claim.holds else f"not seen here: {claim.text}"
            show(console, f"  {mark} {said}", style)
