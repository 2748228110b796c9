"""`penjing data clean`: what is worth keeping of a text, in a new file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import FlagCreatePairsOff

from penjing.cli.arguments import OptionalPath, Sources, command, parse

if TYPE_CHECKING:
    from rich.console import Console

    from penjing.data.doctor.cleaning import Cleaned


@dataclass(frozen=True)
class Arguments:
    """Write a text without copies, odd characters and what else is asked for; say what was left
    out. The sources stay as they are."""

    sources: Sources
    out: Path
    """a new file: .jsonl or .jsonl.gz, a document a line, or .txt"""
    against: tuple[str, ...] = ()
    """a text to keep clear of, such as one for validation"""
    removed: OptionalPath = None
    """a new .jsonl file for what is left out, with the reason"""
    keep_same: FlagCreatePairsOff[bool] = False
    """keep documents that repeat an earlier one"""
    similar: float = 0.8
    """leave out documents of which an earlier one has this share, of all runs of five words in
    either; 0 keeps them"""
    keep_characters: FlagCreatePairsOff[bool] = False
    """keep control, invisible and private-use characters"""
    lines: int = 0
    """take out lines (of 20 columns or more) that stand in so many places, at least 10; 0 keeps
    them"""
    shortest: int = 1
    """characters of a document, at least"""
    longest: int = 0
    """characters of a document, at most; 0 is any number"""
    unbroken: int = 0
    """leave out documents with more bytes than this without a space (Han aside); 0 keeps them"""
    repair: FlagCreatePairsOff[bool] = False
    """leave out damaged bytes, rather than refuse the file"""
    language: Literal["en", "zh"] = "en"
    """of the report"""


def run(args: Sequence[str]) -> int:
    """Clean, and say what was taken out."""
    arguments: Arguments = parse(Arguments, args, "data clean")
    from penjing.cli.study_progress import StudyProgress
    from penjing.core.files import check_free
    from penjing.data.doctor.cleaning import clean
    from penjing.data.doctor.verdict import CleanConfig
    from penjing.data.doctor.writing import check_form

    config = CleanConfig(
        same=not arguments.keep_same,
        similar=arguments.similar,
        characters=not arguments.keep_characters,
        lines=arguments.lines,
        shortest=arguments.shortest,
        longest=arguments.longest,
        unbroken=arguments.unbroken,
        repair=arguments.repair,
    )
    config.check()
    for path in (arguments.out, arguments.removed):
        if path is not None:
            check_form(path)
            check_free(path)
    with StudyProgress() as progress:
        cleaned = clean(
            arguments.sources,
            arguments.out,
            config,
            against=arguments.against,
            removed=arguments.removed,
            listener=progress,
        )
    _show(progress.console, cleaned, arguments.language)
    return 0


def _show(console: "Console", cleaned: "Cleaned", language: Literal["en", "zh"]) -> None:
    from penjing.cli.console import show
    from penjing.data.doctor.account import account

    for line in account(cleaned, language):
        show(console, line)
    show(console, f"\nNext: {command('data', 'check', str(cleaned.path))}")
