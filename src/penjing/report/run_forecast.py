"""What a run was to need, beside what it needed."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from penjing.report.bars import bar_chart
from penjing.report.html import charts, paragraph, table
from penjing.report.log import RunLog, real
from penjing.report.units import amount, clock, si, size
from penjing.report.words import Words

SMALL = 480  # pixels of a chart that stands beside another


def forecast(log: RunLog, words: Words) -> str:
    """A table of both, the notes, and memory and parameters by part."""
    told = log.last("forecast")
    if not told:
        return paragraph(words["no_forecast"])
    header = (words["quantity"], words["foreseen"], words["happened"], words["difference"])
    notes = told.get("notes")
    said = "".join(paragraph(str(note)) for note in notes) if isinstance(notes, list) else ""
    parts = [
        _parts(told.get("memory"), words["memory_parts"], 1e6, without=("total", "available")),
        _parts(told.get("parameters"), words["parameter_parts"], 1.0, without=("total",)),
    ]
    drawn = [part for part in parts if part]
    return table(header, _rows(log, told, words)) + said + charts(drawn, side_by_side=True)


def _rows(log: RunLog, told: Mapping[str, Any], words: Words) -> list[tuple[str, ...]]:
    """Only complete runs can be held against the forecast of a whole one."""
    done, step = log.last("done"), log.last("step")
    complete = log.state == "finished" and not log.of_kind("resume")
    memory = told.get("memory")
    peak = memory.get("total") if isinstance(memory, Mapping) else None
    per_step = real(done.get("train_seconds", step.get("seconds"))) / (log.step or math.nan)
    whole = real(done.get("total_seconds")) if complete else math.nan
    tokens = real(step.get("tokens")) if complete else math.nan
    flops = tokens * real(told.get("flops")) / (real(told.get("tokens")) or math.nan)
    rows: list[tuple[str, object, float, Callable[[float], str]]] = [
        (words["step_seconds"], told.get("step_seconds"), per_step, lambda s: f"{s:.3g}"),
        (words["whole_time"], told.get("seconds"), whole, clock),
        (words["tokens"], told.get("tokens"), tokens, si),
        (words["flops"], told.get("flops"), flops, lambda f: amount(f, "FLOP")),
        (words["memory"], peak, real(done.get("peak_memory")), size),
        (words["disk"], told.get("disk"), math.nan, size),
    ]
    return [
        (name, show(real(foreseen)), show(happened) if math.isfinite(happened) else "–",
         _difference(real(foreseen), happened))
        for name, foreseen, happened, show in rows
        if math.isfinite(real(foreseen))
    ]  # fmt: skip


def _difference(foreseen: float, happened: float) -> str:
    if not (math.isfinite(happened) and foreseen > 0):
        return "–"
    return f"{(happened / foreseen - 1) * 100:+.0f}%".replace("-", "−")


def _parts(table: object, title: str, unit: float, without: tuple[str, ...]) -> str:
    """The entries of a table as bars."""
    if not isinstance(table, Mapping):
        return ""
    parts = {str(k): real(v) / unit for k, v in table.items() if k not in without}
    known = {k.replace("_", " "): v for k, v in parts.items() if math.isfinite(v)}
    if not known:
        return ""
    return bar_chart(list(known), list(known.values()), title=title, width=SMALL)
