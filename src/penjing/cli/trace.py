"""One step of generation as a table: what each sampling step kept, and what it removed."""

import math

from rich.table import Table
from rich.text import Text

from penjing.cli.console import safe
from penjing.core.types import Candidate, TokenStep

SHOWN = 4  # candidates in a cell


def trace_table(step: TokenStep, token: str) -> Table:
    """The table of one step; `token` is the chosen one's text."""
    title = Text.assemble(
        f"token {step.index}: ",
        (quoted(token), "bold"),
        f"  id {step.id}, probability {math.exp(step.logprob):.4f}",
    )
    table = Table(box=None, title=title, title_justify="left", title_style="", padding=(0, 1))
    table.add_column("step", no_wrap=True)
    table.add_column("kept", justify="right")
    table.add_column("likeliest after it")
    table.add_column("removed")
    for record in step.trace:
        table.add_row(
            record.step, f"{record.kept:,}", _candidates(record.top), _candidates(record.removed)
        )
    return table


def quoted(token: str) -> str:
    """A token whose spaces and line feeds can be seen."""
    return "'" + safe(token.replace("\n", "\\n").replace("\t", "\\t")) + "'"


def _candidates(candidates: tuple[Candidate, ...]) -> Text:
    # A candidate stays on one line: its figure is tied to it with a no-break space.
    cells = [f"{quoted(c.text)}\u00a0{math.exp(c.logprob):.3f}" for c in candidates[:SHOWN]]
    return Text("  ".join(cells))
