"""`penjing data check`: what a text is made of, what is wrong with it, and how far it will go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from penjing.cli.arguments import OptionalPath, OptionalText, Sources, parse
from penjing.cli.errors import UsageError
from penjing.data.limits import MAX_VALIDATION_FRACTION

if TYPE_CHECKING:
    from rich.console import Console

    from penjing.core.events import Listener
    from penjing.data.doctor.budget import Tokens
    from penjing.data.doctor.report import Examined
    from penjing.data.doctor.survey import Survey
    from penjing.tokenizer.tokenizer import Tokenizer

_STYLES = {"note": "", "warning": "yellow", "error": "red"}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9}


@dataclass(frozen=True)
class Arguments:
    """Examine a text: encodings, languages, copies, leaks, odd characters, tokens. Nothing is
    changed."""

    sources: Sources
    validation: tuple[str, ...] = ()
    """the text that a model will be judged by, if it is kept apart; else a part of the sources"""
    validation_fraction: float = 0.05
    """share of the bytes that `penjing pretrain` would keep aside, if no validation is named"""
    tokenizer: OptionalText = None
    """to count tokens with: a run, a model directory, a tokenizer.json, a known name such as qwen;
    without one, a BPE is trained on a sample of the text"""
    model: OptionalText = None
    """for how many passes are best: parameters, such as 10M, or a run or model directory"""
    language: Literal["en", "zh"] = "en"
    """of the report"""
    json: OptionalPath = None
    """a new file for all figures"""


def run(args: Sequence[str]) -> int:
    """Examine, and report; 1 if a file could not be read."""
    arguments: Arguments = parse(Arguments, args, "data check")
    from penjing.cli.study_progress import StudyProgress
    from penjing.core.files import check_free, write_json
    from penjing.data.doctor.diagnosis import diagnose
    from penjing.data.doctor.report import Examined, as_json
    from penjing.data.doctor.survey import survey
    from penjing.formats.package_tokenizers import open_tokenizer

    if not 0 <= arguments.validation_fraction <= MAX_VALIDATION_FRACTION:
        raise UsageError(f"--validation-fraction must be from 0 to {MAX_VALIDATION_FRACTION}.")
    if arguments.json is not None:
        check_free(arguments.json)
    with StudyProgress() as progress:
        parameters = None if arguments.model is None else _parameters(arguments.model, progress)
        tokenizer = None
        if arguments.tokenizer is not None:
            tokenizer = open_tokenizer(arguments.tokenizer, listener=progress)
        found = survey(arguments.sources, arguments.validation, listener=progress)
        findings = diagnose(found, validation_fraction=arguments.validation_fraction)
        tokens = _tokens(found, tokenizer)
    examined = Examined(found, findings, tokens, arguments.tokenizer, parameters)
    _show(progress.console, examined, arguments.language)
    if arguments.json is not None:
        write_json(arguments.json, as_json(examined))
    return 1 if any(file.error for file in found.files) else 0


def _parameters(model: str, listener: "Listener") -> int:
    """A number such as 10M, or how many parameters a model has.

    Raises:
        UsageError: it is neither.
    """
    number, unit = model[:-1], model[-1:].lower()
    try:
        count = float(number) * _UNITS[unit] if unit in _UNITS else float(model)
    except ValueError:
        pass
    else:
        if not 1 <= count < 1e15:
            raise UsageError(f"--model {model}: a number of parameters from 1 on is needed.")
        return round(count)
    if not Path(model).exists():
        raise UsageError(
            f"--model {model} is neither a number of parameters, such as 10M, nor a run or a model "
            "directory."
        )
    from penjing.formats.opening import open_checkpoint
    from penjing.model.families import skeleton

    return skeleton(open_checkpoint(Path(model), listener=listener).config).n_parameters()


def _tokens(found: "Survey", tokenizer: "Tokenizer | None") -> "Tokens | None":
    """Counted with that tokenizer, or with one that is trained for it."""
    from penjing.data.doctor.budget import count_tokens

    if not any(found.sample):
        return None
    return count_tokens(found.sample, found.n_bytes, tokenizer or _trained(found.sample))


def _trained(sample: "Sequence[str]") -> "Tokenizer":
    """With as large a vocabulary as there is text for."""
    from penjing.core.errors import TokenizerError
    from penjing.tokenizer.config import TokenizerConfig
    from penjing.tokenizer.train import train_tokenizer

    for vocab_size in (4096, 1024, 512):
        try:
            return train_tokenizer(sample, TokenizerConfig(vocab_size=vocab_size))
        except TokenizerError:  # too little text for it
            pass
    return train_tokenizer(sample, TokenizerConfig(kind="byte"))


def _show(console: "Console", examined: "Examined", language: Literal["en", "zh"]) -> None:
    from penjing.cli.columns import aligned
    from penjing.cli.console import show
    from penjing.data.doctor.report import describe, overview
    from penjing.data.doctor.words import WORDS

    words = WORDS[language]
    for line in aligned(list(overview(examined, language))):
        show(console, line)
    if not examined.findings:
        show(console, f"\n{words['nothing']}", "green")
    for finding in examined.findings:
        said, advice = describe(finding, language)
        show(console, f"\n{words[finding.severity]}  {said}", _STYLES[finding.severity])
        for line in (*finding.examples, advice):
            if line:
                show(console, f"  {line}")
