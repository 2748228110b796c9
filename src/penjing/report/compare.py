"""Several runs on one page: their figures, the settings that differ, and their curves together."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence

from penjing.report.html import Edition, Section, charts, editions, paragraph, table
from penjing.report.log import Point, RunLog, flat, setting
from penjing.report.summary import Summary
from penjing.report.svg import Series, line_chart
from penjing.report.words import WORDS, Words

MINUTE = 60.0


def compare_report(logs: Sequence[RunLog]) -> str:
    """The page as one HTML string, in English and Chinese with a switch."""
    return editions({language: _edition(logs, words) for language, words in WORDS.items()})


def differing(logs: Sequence[RunLog]) -> list[tuple[str, ...]]:
    """The settings that are not the same in all runs: the name, then the value in each."""
    settings = [flat(log.config) for log in logs]
    names = dict.fromkeys(name for config in settings for name in config)
    rows = [(name, *(_shown(config, name) for config in settings)) for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _shown(config: dict[str, object], name: str) -> str:
    return setting(config[name]) if name in config else "–"


def figures(logs: Sequence[RunLog], words: Words) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of a table with a column for each run."""
    names = ("state", "model", "steps", "loss", "bits_per_byte", "best", "time", "speed")
    columns = zip(*(Summary.of(log).cells() for log in logs), strict=True)
    rows = [(words[name], *cells) for name, cells in zip(names, columns, strict=True)]
    return ("", *(log.name for log in logs)), rows


def _edition(logs: Sequence[RunLog], words: Words) -> Edition:
    rows = differing(logs)
    settings = table((words["setting"], *(log.name for log in logs)), rows)
    sections = [
        Section(words["figures"], table(*figures(logs, words))),
        Section(words["differing"], settings if rows else paragraph(words["none_differ"])),
        Section(
            words["curves"], charts(curves(logs, words)) + paragraph(words["lines"], style="soft")
        ),
    ]
    return Edition(words["comparison"], sections)


def curves(logs: Sequence[RunLog], words: Words) -> list[str]:
    """Bits per byte of all runs over steps, over tokens read, and over time."""
    axes = (("by_step", "step", ""), ("by_tokens", "tokens", "tokens"),
            ("by_time", "minutes", "seconds"))  # fmt: skip
    images = []
    for title, label, field in axes:
        lines = [line for n, log in enumerate(logs) for line in _lines(log, n, field)]
        if any(math.isfinite(x) and math.isfinite(y) for line in lines for x, y in line.points):
            images.append(
                line_chart(
                    lines,
                    title=words[title],
                    x_label=words[label],
                    y_label=words["bits_per_byte"],
                    size=(1000, 380),
                )
            )
    return images


def _lines(log: RunLog, n: int, field: str) -> list[Series]:
    """The validation text, and behind it the training batches in the same colour."""
    place = _places(log, field)
    evaluated = [(place(x), y) for x, y in log.bits_per_byte("eval")]
    trained = [(place(x), y) for x, y in log.bits_per_byte("step")]
    if not evaluated:
        return [Series(log.name, trained, colour=n)]
    return [Series(log.name, evaluated, colour=n), Series("", trained, faint=True, colour=n)]


def _places(log: RunLog, field: str) -> Callable[[float], float]:
    """From a step to where it lies on the axis: itself, or a field of the "step" events."""
    if not field:
        return lambda step: step
    known: list[Point] = [p for p in log.points("step", field) if math.isfinite(p[1])]
    unit = MINUTE if field == "seconds" else 1.0

    def place(step: float) -> float:
        after = bisect_left(known, (step, -math.inf))
        if after < len(known) and known[after][0] == step:
            return known[after][1] / unit
        if not 0 < after < len(known):
            return math.nan
        (a, low), (b, high) = known[after - 1], known[after]
        return (low + (high - low) * (step - a) / (b - a)) / unit

    return place
