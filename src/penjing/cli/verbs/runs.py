"""`penjing runs`: which runs there are; one examined, or made into a page; several compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg, subcommand

from penjing.cli.arguments import OptionalPath, command, parse
from penjing.cli.errors import UsageError
from penjing.cli.runs import RUNS

if TYPE_CHECKING:
    from penjing.report.log import RunLog
    from penjing.train.config import TrainConfig
    from penjing.train.doctor.doctor import Diagnosis

_RunPath = Annotated[Positional[Path], arg(metavar="DIR", help="a run's folder")]


@dataclass(frozen=True)
class List:
    """List the runs of a folder, newest first. `penjing runs` alone does the same."""

    folder: Annotated[
        Positional[OptionalPath],
        arg(
            metavar="[DIR]", help="a folder of runs, or a run", help_behavior_hint="(default: runs)"
        ),
    ] = None


@dataclass(frozen=True)
class Compare:
    """Compare runs: their figures, the settings that differ, and with --out their curves."""

    paths: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="DIR DIR [DIR ...]", help="runs", help_behavior_hint="(required)"),
    ]
    out: OptionalPath = None
    """an HTML file to write, with the curves of all"""


@dataclass(frozen=True)
class Check:
    """Let the loss doctor examine a run: what went wrong, how one sees it, and what to do."""

    path: _RunPath


@dataclass(frozen=True)
class Report:
    """Write a run's report.html anew."""

    path: _RunPath


_ACTIONS = ("list", "compare", "check", "report")


def run(args: Sequence[str]) -> int:
    """One of the four; without its name, the list."""
    words = list(args)
    if not words or (words[0] not in _ACTIONS and words[0] not in ("-h", "--help")):
        words = ["list", *words]
    either: Any = (
        Annotated[List, subcommand("list")]
        | Annotated[Compare, subcommand("compare")]
        | Annotated[Check, subcommand("check")]
        | Annotated[Report, subcommand("report")]
    )
    chosen = parse(either, words, "runs")
    if isinstance(chosen, Compare):
        _compare(chosen)
    elif isinstance(chosen, Check):
        _check(chosen.path)
    elif isinstance(chosen, Report):
        _report(chosen.path)
    else:
        _list(chosen.folder)
    return 0


def _list(folder: Path | None) -> None:
    from penjing.cli.columns import show_columns
    from penjing.cli.console import make_console, show
    from penjing.cli.found_runs import find_runs

    console = make_console()
    none_yet = folder is None and not RUNS.is_dir()
    found = [] if none_yet else list(find_runs(folder or RUNS))
    if not found:
        show(console, f"No runs in {folder or RUNS} yet. To make one: {command('demo')}")
        return
    header = ("name", "state", "model", "steps", "loss", "bits/byte", "best", "time", "speed")
    rows = sorted(map(_row, found), key=lambda row: row[0], reverse=True)
    show_columns(
        console, header, [cells for _, cells in rows], right=(3, 4, 5, 6, 7, 8),
        optional=(6, 8, 7, 4, 2),
    )  # fmt: skip


def _row(path: Path) -> tuple[float, tuple[str, ...]]:
    """When a run was changed last, and its cells; a damaged one is said to be."""
    from penjing.cli.found_runs import state_of
    from penjing.core.errors import DataError
    from penjing.report.log import LOG, RunLog
    from penjing.report.summary import Summary

    try:
        log = RunLog.read(path)
    except DataError:
        return (path / LOG).stat().st_mtime, (path.name, "damaged", *["–"] * 7)
    summary = replace(Summary.of(log), state=state_of(path, log))
    return summary.changed, (path.absolute().name, *summary.cells())


def _compare(arguments: Compare) -> None:
    from penjing.cli.columns import show_columns
    from penjing.cli.console import make_console, show
    from penjing.cli.found_runs import read_runs
    from penjing.core.files import atomic_file
    from penjing.report.compare import compare_report, differing, figures
    from penjing.report.words import WORDS

    if len(arguments.paths) < 2:
        raise UsageError("Name at least two runs to compare.")
    logs = read_runs(arguments.paths)
    console = make_console()
    header, rows = figures(logs, WORDS["en"])
    show_columns(console, header, rows, right=range(1, len(header)))
    show(console, "\nSettings that differ\n", "bold")
    settings = differing(logs)
    if settings:
        show_columns(console, header, settings, right=range(1, len(header)))
    else:
        show(console, "none")
    if arguments.out:
        with atomic_file(arguments.out) as scratch:
            scratch.write_text(compare_report(logs), encoding="utf-8", errors="replace")
        show(console, f"\nThe curves are in {arguments.out}")


def _check(path: Path) -> None:
    from penjing.cli.console import make_console, show
    from penjing.cli.describe import describe, style
    from penjing.core.events import Event
    from penjing.report.log import RunLog

    console = make_console()
    log = RunLog.read(path)
    show(console, f"{log.name}: {standing(log)}")
    found = _examine(log)
    for diagnosis in found:
        event = Event("diagnosis", vars(diagnosis))
        show(console, "\n" + (describe(event) or ""), style(event))
    if not found:
        show(console, "Nothing is wrong, as far as the log tells.")


def standing(log: "RunLog") -> str:
    """Where a run stands among the predictors that know nothing."""
    from penjing.report.summary import Summary

    summary = Summary.of(log)
    line = f"{summary.state} after {summary.step:,} of {summary.steps:,} steps"
    if summary.bits_per_byte != summary.bits_per_byte:  # NaN
        return f"{line}, never evaluated"
    floor = ", ".join(f"{name} {value:.3f}" for name, value in log.baselines.items())
    return f"{line}, {summary.bits_per_byte:.3f} bits per byte" + (f" ({floor})" if floor else "")


def _examine(log: "RunLog") -> "list[Diagnosis]":
    """What the doctor finds; remedies come with figures where the settings can be read.

    Raises:
        DataError: the log lacks what the doctor looks at.
    """
    from penjing.core.errors import DataError
    from penjing.train.doctor.doctor import examine

    try:
        return examine(log.events, _settings(log))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The log of {log.name} cannot be examined: it lacks or mistakes a figure ({error}). "
            "It was changed by hand, or another version wrote it."
        ) from error


def _settings(log: "RunLog") -> "TrainConfig | None":
    """The training settings, unless another version of this program wrote them."""
    from penjing.core.config import from_dict
    from penjing.core.errors import ConfigError
    from penjing.train.config import TrainConfig

    try:
        return from_dict(TrainConfig, log.config.get("train", {}), where=log.name)
    except (ConfigError, AttributeError):
        return None


def _report(path: Path) -> None:
    from penjing.report.run import write_report

    print(f"Written: {write_report(path)}")
