"""One step of generation as a table: what each sampling step kept, and what it removed."""

import math

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from penjing.cli.text import one_line
from penjing.core.types import Candidate, TokenStep

SHOWN = 4  # candidates in a cell
_GAP = "  "  # between two of them


def show_trace(console: Console, step: TokenStep, token: str) -> None:
    """Print one step; `token` is the chosen one's text. A list where a table is too wide."""
    title = Text.assemble(
        f"token {step.index}: ",
        (quoted(token), "bold"),
        f"  id {step.id}, probability {math.exp(step.logprob):.4f}",
    )
    console.print(title, soft_wrap=True)
    table = trace_table(step)
    unbounded = console.options.update_width(10_000)
    if console.measure(table, options=unbounded).minimum <= console.width:
        console.print(table)
        return
    for record in step.trace:
        console.print(Text(f" {record.step}: {record.kept:,} kept"), soft_wrap=True)
        for candidate in record.top[:SHOWN]:
            console.print(Text("  " + _cell(candidate)), soft_wrap=True)


def trace_table(step: TokenStep) -> Table:
    """What each sampling step kept and removed, one a row."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("step", no_wrap=True)
    table.add_column("kept", justify="right", no_wrap=True)
    shown = (c for record in step.trace for c in (*record.top[:SHOWN], *record.removed[:SHOWN]))
    widest = max((cell_len(_cell(candidate)) for candidate in shown), default=0)
    # rich takes what is too wide off these two alike, so they need the same.
    table.add_column("likeliest after it", min_width=widest)
    table.add_column("removed", min_width=widest)
    for record in step.trace:
        table.add_row(
            record.step, f"{record.kept:,}", _Candidates(record.top), _Candidates(record.removed)
        )
    return table


def quoted(token: str) -> str:
    """A token whose spaces and line feeds can be seen."""
    return f"'{one_line(token)}'"


def _cell(candidate: Candidate) -> str:
    return f"{quoted(candidate.text)} {math.exp(candidate.logprob):.3f}"


class _Candidates:
    """Candidates and their probabilities, as many on a line as fit, and none on two.

    rich itself breaks lines at any white space, that of a token and no-break spaces included.
    """

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        self._cells = [_cell(candidate) for candidate in candidates[:SHOWN]]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widest = max(map(cell_len, self._cells), default=0)
        return Measurement(widest, cell_len(_GAP.join(self._cells)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = ""
        for cell in self._cells:
            longer = f"{line}{_GAP}{cell}" if line else cell
            if line and cell_len(longer) > options.max_width:
                yield Text(line, no_wrap=True)
                longer = cell
            line = longer
        yield Text(line, no_wrap=True, overflow="ellipsis")
