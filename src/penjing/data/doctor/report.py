"""A survey and its findings in words, line by line, and as plain data."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from penjing.data.doctor.budget import BYTES, Passes, Tokens, plan_passes
from penjing.data.doctor.characters import FIRST_SCRIPT, SCRIPTS
from penjing.data.doctor.diagnosis import LITTLE, Finding
from penjing.data.doctor.languages import LANGUAGES
from penjing.data.doctor.reading import FileSeen
from penjing.data.doctor.survey import Survey
from penjing.data.doctor.words import NAMES_ZH, WORDS, Language, Words
from penjing.report.units import percent, plural, si, size

_SHOWN = 5  # languages and scripts
_LEAST = 1e-3  # share of those that are shown


@dataclass(frozen=True)
class Examined:
    """All that is to be told of a text."""

    survey: Survey
    findings: tuple[Finding, ...]
    tokens: Tokens | None = None
    tokenizer: str | None = None  # its name; None: trained for the count
    parameters: int | None = None  # of the model that will be trained

    @property
    def passes(self) -> Passes | None:
        """The plan for the model; without one, for a model of any size."""
        if self.tokens is None or not self.tokens.n:
            return None
        return plan_passes(self.parameters or 1, self.tokens.n)


def overview(examined: Examined, language: Language) -> Iterator[tuple[str, str]]:
    """Names and values: what there is."""
    words = WORDS[language]
    survey = examined.survey
    yield words["files"], _files(survey, language)
    training = survey.training
    yield words["documents"], _documents(survey, training, language)
    if not training.all():
        yield words["validation"], _documents(survey, ~training, language)
    if training.any():
        shown = {name: f"{n:,}" for name, n in _lengths(survey).items()}
        yield words["lengths"], words["lengths_are"].format(**shown)
    shares = _shares(languages(survey), language)
    yield words["languages"], words["languages_are"].format(shares=shares)
    shares = _shares(scripts(survey), language)
    yield words["scripts"], words["scripts_are"].format(shares=shares)
    yield from _plan(examined, language)
    rate = size(float(survey.documents.table.n_bytes.sum()) / max(survey.seconds, 1e-9))
    yield words["speed"], words["speed_is"].format(seconds=f"{survey.seconds:.1f}", rate=rate)


def describe(finding: Finding, language: Language) -> tuple[str, str]:
    """What was found, and what to do about it."""
    words = WORDS[language]
    shown = {name: _figure(name, value) for name, value in finding.values.items()}
    n = finding.values.get("n", 0)
    shown |= {f"{noun}s": plural(n, noun) for noun in ("document", "line", "file")}
    if "validation" in finding.values:
        shown["validation_n"] = f"{finding.values['validation']:,}"
        shown["validation"] = plural(finding.values["validation"], "document")
    advice = words.get(f"{finding.remedy or finding.kind}_do", "")
    return words[finding.kind].format(**shown), advice.format(**shown)


def languages(survey: Survey) -> dict[str, float]:
    """The share of the training text's bytes in each language, the largest first."""
    ledger, training = survey.documents, survey.training
    counts = np.bincount(
        ledger.languages[training],
        weights=ledger.table.n_bytes[training],
        minlength=len(LANGUAGES),
    )
    return _ranked(dict(zip(LANGUAGES, counts.tolist(), strict=True)))


def scripts(survey: Survey) -> dict[str, float]:
    """The share of the training text's letters in each script, the largest first."""
    counts: Counter[str] = Counter()
    for script, n in zip(SCRIPTS, survey.characters[FIRST_SCRIPT:].tolist(), strict=True):
        counts[script.name.partition(",")[0]] += n
    return _ranked(counts)


def as_json(examined: Examined) -> dict[str, Any]:
    """Everything as plain values."""
    survey, table = examined.survey, examined.survey.documents.table
    return {
        "files": [asdict(file) for file in survey.files],
        "documents": int(survey.training.sum()),
        "bytes": survey.n_bytes,
        "characters": int(table.n_characters[survey.training].sum()),
        "lengths": _lengths(survey),
        "validation_documents": int((~survey.training).sum()),
        "validation_bytes": int(table.n_bytes[~survey.training].sum()),
        "languages": languages(survey),
        "scripts": scripts(survey),
        "tokens": asdict(examined.tokens) if examined.tokens else None,
        "tokenizer": examined.tokenizer,
        "passes": asdict(examined.passes) if examined.parameters and examined.passes else None,
        "findings": [asdict(finding) for finding in examined.findings],
        "seconds": survey.seconds,
    }


def _files(survey: Survey, language: Language) -> str:
    words = WORDS[language]
    kinds = Counter(_kind(file, words) for file in survey.files)
    shown = words["comma"].join(f"{n:,} {name}" for name, n in kinds.most_common())
    n_bytes = sum(file.n_bytes for file in survey.files) or survey.n_bytes
    return words["files_are"].format(
        n=f"{len(survey.files):,}", size=size(n_bytes), encodings=shown
    )


def _kind(file: FileSeen, words: Words) -> str:
    """How a file is encoded, or what else is to be said of it."""
    if file.encoding:
        return file.encoding.upper()
    return words["unreadable_file"] if file.error else words["piped"]


def _documents(survey: Survey, chosen: Any, language: Language) -> str:
    table = survey.documents.table
    return WORDS[language]["documents_are"].format(
        n=f"{int(chosen.sum()):,}",
        size=size(float(table.n_bytes[chosen].sum())),
        characters=f"{int(table.n_characters[chosen].sum()):,}",
    )


def _lengths(survey: Survey) -> dict[str, int]:
    """Characters of the shortest, the middle and the longest document; nothing without any."""
    lengths = np.sort(survey.documents.table.n_characters[survey.training]).tolist()
    if not lengths:
        return {}
    middle = lengths[len(lengths) // 2]
    return {"shortest": lengths[0], "median": middle, "longest": lengths[-1]}


def _plan(examined: Examined, language: Language) -> Iterator[tuple[str, str]]:
    words, tokens, passes = WORDS[language], examined.tokens, examined.passes
    if tokens is None or passes is None:
        return
    known = "own_tokenizer" if examined.tokenizer is None else "given_tokenizer"
    if tokens.vocab_size <= BYTES and examined.tokenizer is None:
        known = "byte_tokenizer"
    about = words[known].format(name=examined.tokenizer, vocab=f"{tokens.vocab_size:,}")
    shown = {"n": si(tokens.n), "per": f"{tokens.bytes_per_token:.2f}", "tokenizer": about}
    yield words["tokens"], words["tokens_are"].format(**shown)
    figures = {
        "parameters": si(passes.parameters),
        "wanted": si(passes.wanted),
        "passes": f"{passes.passes:.2g}" if passes.passes else "",
        "share": percent(passes.share),
        "fitting": si(passes.fitting),
        "most": si(passes.most),
    }
    if examined.parameters is None:
        if examined.survey.n_bytes < LITTLE:
            return
        yield words["fitting"], words["fitting_is"].format(**figures)
        return
    yield words["model"], words["model_is"].format(**figures)
    if passes.passes is None:
        kind = "passes_never"
    elif passes.passes <= 1:
        kind = "passes_part"
    else:
        kind = "passes_few" if passes.passes <= 4 else "passes_many"
    yield words["passes"], words[kind].format(**figures)


def _shares(shares: dict[str, float], language: Language) -> str:
    shown = [(name, share) for name, share in shares.items() if share >= _LEAST]
    head = [(_named(name, language), share) for name, share in shown[:_SHOWN]]
    rest = sum(share for _, share in shown[_SHOWN:])
    if rest:
        head.append((WORDS[language]["more"], rest))
    return WORDS[language]["comma"].join(f"{name} {percent(share)}" for name, share in head) or "-"


def _named(name: str, language: Language) -> str:
    return NAMES_ZH.get(name, name) if language == "zh" else name


def _ranked(counts: dict[str, float] | Counter[str]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return {name: n / total for name, n in ranked if n}


def _figure(name: str, value: Any) -> str:
    if name in ("share", "passages", "similar"):
        return "<0.1%" if 0 < value < 1e-3 else percent(value)
    return size(value) if name == "bytes" else f"{value:,}"
