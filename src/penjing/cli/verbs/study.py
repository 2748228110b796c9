"""`penjing study`: a small experiment that anyone can repeat, with a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from penjing.cli.arguments import OptionalPath, parse
from penjing.cli.errors import UsageError
from penjing.cli.runs import run_directory
from penjing.core.errors import ConfigError
from penjing.study.settings import Settings
from penjing.study.table import STUDIES


@dataclass(frozen=True)
class Arguments:
    """Repeat an experiment, and write its report: results.json, summary.md, report.html."""

    name: Annotated[Positional[str], arg(metavar="NAME", help=f"one of: {', '.join(STUDIES)}")]
    quick: bool = False
    """a rehearsal in seconds, with far too little training for any claim"""
    seed: int = 0
    """the first seed of weights and data; the same settings give the same figures"""
    seeds: int = 3
    """repetitions, each with a seed of its own"""
    text: tuple[str, ...] = ("corpus:stdlib",)
    """files, folders, or corpora; the standard library's source needs no network"""
    out: Annotated[OptionalPath, arg(help_behavior_hint="(default: runs/study-NAME, numbered)")] = (
        None
    )
    """a new folder for the report"""


def run(args: Sequence[str]) -> int:
    """Parse, experiment, and show what came out."""
    arguments: Arguments = parse(Arguments, args, "study")
    settings = Settings(arguments.quick, arguments.seed, arguments.seeds, arguments.text)
    try:
        study = STUDIES[arguments.name]
        settings.check()
    except ConfigError as error:
        raise UsageError(str(error)) from error
    out: Path = run_directory(f"study-{arguments.name}", arguments.out)
    from penjing.cli.console import show
    from penjing.cli.study_progress import StudyProgress, show_parts
    from penjing.study.run import run_study

    with StudyProgress() as progress:
        show(progress.console, f"{study.title}: {study.question}")
        report = run_study(arguments.name, settings, out=out, listener=progress)
    show_parts(progress.console, report.parts, rehearsal=settings.quick)
    show(progress.console, f"\nThe report lies in {out}\n", "bold")
    show(progress.console, "  report.html    tables and charts, for a browser")
    show(progress.console, "  summary.md     the tables as text")
    show(progress.console, "  results.json   every figure, with settings and machine")
    return 0
