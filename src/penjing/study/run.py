"""Run a study and write its report: results.json, summary.md, report.html, all or none."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from penjing.core.events import Event, Listener
from penjing.core.files import atomic_directory, check_free
from penjing.model.runtime import keep_freed_memory, memory_errors
from penjing.study.bench import Bench
from penjing.study.parts import Part
from penjing.study.render import html, markdown
from penjing.study.settings import Settings
from penjing.study.table import STUDIES
from penjing.version import __version__


@dataclass(frozen=True)
class Report:
    """A study that was done."""

    path: Path
    results: Mapping[str, Any]  # what results.json holds
    parts: Sequence[Part]


def _ignore(_event: Event) -> None:
    """A listener that does not listen."""


def run_study(
    name: str, settings: Settings, *, out: str | Path, listener: Listener = _ignore
) -> Report:
    """Do the study `name` and write its report into the new folder `out`.

    The same settings give the same "figures" in results.json on the same machine, with as many
    threads; "timings" differ. If anything fails, Ctrl-C included, nothing is written.

    Raises:
        ConfigError: there is no such study, or a setting cannot work.
        DataError: the text cannot be read, or there is too little of it.
        StorageError: `out` exists, or cannot be written.
        TrainingError: a training diverged, or there is not enough memory.
    """
    study = STUDIES[name].load()
    settings.check()
    check_free(Path(out))
    keep_freed_memory()
    bench = Bench(settings, listener)
    with memory_errors():
        measured = study.measure(bench)
    results = {
        "study": name,
        "settings": asdict(settings),
        "text": bench.text.fingerprint if "text" in vars(bench) else None,
        "machine": _machine(),
        "figures": measured["figures"],
        "timings": {**measured.get("timings", {}), "seconds": bench.seconds},
    }
    text = json.dumps(results, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    results = json.loads(text)  # what is shown is what the file says
    parts = study.present(results)
    with atomic_directory(Path(out)) as folder:
        (folder / "results.json").write_text(text, encoding="utf-8")
        (folder / "summary.md").write_text(markdown(results, parts), encoding="utf-8")
        (folder / "report.html").write_text(html(results, parts), encoding="utf-8")
    return Report(Path(out), results, parts)


def _machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "penjing": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
