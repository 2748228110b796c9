"""The page that a run leaves behind: report.html, from its settings and its log alone."""

from pathlib import Path

from penjing.core.files import atomic_file
from penjing.report.html import Edition, Section, charts, editions, paragraph, table
from penjing.report.log import RunLog, flat, setting
from penjing.report.run_charts import inner_charts, learning_charts
from penjing.report.run_figures import headline
from penjing.report.run_forecast import forecast
from penjing.report.run_text import diagnoses, samples, text, transfer
from penjing.report.words import WORDS, Words

REPORT = "report.html"


def write_report(run: Path) -> Path:
    """Write report.html into a run's folder, whole or not at all; its path.

    Raises:
        DataError: there is no run, or its settings or its log are damaged.
        StorageError: the disk refuses.
    """
    log = RunLog.read(run)
    target = run / REPORT
    with atomic_file(target) as scratch:
        # A prompt or a file name may hold a half of a surrogate pair, which is no text.
        scratch.write_text(page_of(log), encoding="utf-8", errors="replace")
    return target


def page_of(log: RunLog) -> str:
    """The page as one HTML string, in English and Chinese with a switch."""
    return editions({language: _edition(log, words) for language, words in WORDS.items()})


def _edition(log: RunLog, words: Words) -> Edition:
    known = "learning" if log.bytes_per_token > 0 else "learning_nats"
    inner = inner_charts(log, words)
    sections = [
        Section("", headline(log, words)),
        Section(
            words["curves"],
            charts(learning_charts(log, words)) + paragraph(words[known], style="soft"),
        ),
        Section(words["diagnoses"], diagnoses(log, words)),
        *([Section(words["machine"], charts(inner, side_by_side=True))] if inner else []),
        *([Section(words["transfer"], transfer(log, words))] if log.of_kind("transfer") else []),
        *([Section(words["samples"], samples(log, words))] if log.of_kind("sample") else []),
        Section(words["forecast"], forecast(log, words)),
        Section(words["text"], text(log, words)),
        Section(words["settings"], _settings(log, words)),
    ]
    return Edition(log.name, sections)


def _settings(log: RunLog, words: Words) -> str:
    rows = [(name, setting(value)) for name, value in flat(log.config).items()]
    return table((words["setting"], words["value"]), rows)
