"""What is wrong with a text, or odd in it: each finding with its figures and some examples."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penjing.data.doctor.leak import Leak, find_leak
from penjing.data.doctor.minhash import SIMILAR, Likeness, thin_out
from penjing.data.doctor.passages import repeated_share
from penjing.data.doctor.survey import TROUBLES, Survey

Severity = Literal["note", "warning", "error"]

EXAMPLES = 3
ERRORS = 10  # of files that cannot be read, which are shown
SHORT = 32  # bytes: some ten Han characters, six words of English
LONG = 1_000_000  # bytes
UNBROKEN = 1000  # bytes without white space or Han: encoded data, code made small, a table
LITTLE = 100_000  # bytes, below which there is little to learn
MANY = 0.01  # of the documents or bytes, from which on a finding is a warning
REPEATED = LEAK = 0.02  # of the passages; names and set phrases stay below


@dataclass(frozen=True)
class Finding:
    """One thing that was found. `kind` has its words in `penjing.data.doctor.words`."""

    kind: str
    severity: Severity
    values: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    remedy: str = ""  # the words that say what to do, where they are not those of `kind`


@dataclass(frozen=True)
class Copies:
    """For each of N documents, one that it repeats, or -1."""

    same: NDArray[np.int64]  # the same text, (N,)
    alike: Likeness  # nearly the same, of those that are not the same

    @property
    def alike_rows(self) -> NDArray[np.int64]:
        """The documents that are nearly the same as another."""
        return np.flatnonzero(self.alike.leader >= 0)


def find_copies(survey: Survey, among: NDArray[np.bool_], similar: float = SIMILAR) -> Copies:
    """Copies among some of the documents, (N,), exact and near; the first of them stands."""
    ledger = survey.documents
    same = ledger.copies(np.flatnonzero(among))
    asked = ledger.comparable & among & (same < 0)
    return Copies(same, thin_out(ledger.signatures, asked, least=similar))


def diagnose(survey: Survey, *, validation_fraction: float = 0.05) -> tuple[Finding, ...]:
    """All findings, in the order of `CHECKS`.

    Args:
        validation_fraction: what would be kept aside of the text, if no validation text was named.
    """
    copies = find_copies(survey, survey.training)
    case = _Case(survey, copies, find_leak(survey, validation_fraction))
    return tuple(finding for check in CHECKS for finding in check(case))


@dataclass(frozen=True)
class _Case:
    survey: Survey
    copies: Copies
    leak: Leak | None

    @property
    def n(self) -> int:
        return int(self.survey.training.sum())

    def name(self, document: int) -> str:
        return self.survey.documents.sources[int(document)]

    def pairs(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> tuple[str, ...]:
        chosen = rows[:EXAMPLES]
        return tuple(f"{self.name(row)} = {self.name(others[row])}" for row in chosen)

    def documents(
        self, kind: str, chosen: NDArray[np.bool_], severity: Severity | None = None, **values: Any
    ) -> Iterator[Finding]:
        """A finding about some of the documents, if there are any."""
        rows = np.flatnonzero(chosen)
        if len(rows):
            share = len(rows) / max(1, len(self.survey.documents))
            figures = {"n": len(rows), "share": share, **values}
            names = tuple(self.name(row) for row in rows[:EXAMPLES])
            yield Finding(kind, severity or _severity(share), figures, names)


def _severity(share: float) -> Severity:
    return "warning" if share >= MANY else "note"


def _unreadable(case: _Case) -> Iterator[Finding]:
    errors = [file.error for file in case.survey.files if file.error]
    if errors:
        yield Finding("unreadable", "error", {"n": len(errors)}, tuple(errors[:ERRORS]))


def _empty(case: _Case) -> Iterator[Finding]:
    names = [file.name for file in case.survey.files if not file.documents and not file.error]
    if names:
        yield Finding("empty", "note", {"n": len(names)}, tuple(names[:EXAMPLES]))


def _little(case: _Case) -> Iterator[Finding]:
    if case.survey.n_bytes < LITTLE:
        yield Finding("little", "warning", {"bytes": case.survey.n_bytes})


def _same(case: _Case) -> Iterator[Finding]:
    same = case.copies.same
    rows = np.flatnonzero(same >= 0)
    if len(rows):
        n_bytes = int(case.survey.documents.table.n_bytes[rows].sum())
        values = {"n": len(rows), "share": len(rows) / case.n, "bytes": n_bytes}
        yield Finding("same", _severity(len(rows) / case.n), values, case.pairs(rows, same))


def _alike(case: _Case) -> Iterator[Finding]:
    found, rows = case.copies.alike, case.copies.alike_rows
    if len(rows):
        n_bytes = int(case.survey.documents.table.n_bytes[rows].sum())
        values = {
            "n": len(rows),
            "share": len(rows) / case.n,
            "bytes": n_bytes,
            "similar": SIMILAR,
        }
        pairs = case.pairs(rows, found.leader)
        yield Finding("alike", _severity(len(rows) / case.n), values, pairs)


def _passages(case: _Case) -> Iterator[Finding]:
    """Passages of documents that are no copies."""
    survey = case.survey
    kept = survey.training & (case.copies.same < 0) & (case.copies.alike.leader < 0)
    share = repeated_share(survey.passages[survey.passages_of(kept)])
    if share >= REPEATED / 2:
        yield Finding("passages", "warning" if share >= REPEATED else "note", {"share": share})


def _lines(case: _Case) -> Iterator[Finding]:
    lines = list(case.survey.lines.values())
    least = max(10, case.n // 1000)
    lines = [line for line in lines if line.places >= least]
    if lines:
        n_bytes = sum(line.n_bytes for line in lines)
        share = n_bytes / case.survey.n_bytes
        values = {"n": len(lines), "bytes": n_bytes, "share": share, "least": least}
        shown = tuple(f"{line.places:,} x {_short(line.text)}" for line in lines[:EXAMPLES])
        yield Finding("lines", _severity(share), values, shown)


def _lengths(case: _Case) -> Iterator[Finding]:
    ledger, training = case.survey.documents, case.survey.training
    yield from case.documents("short", (ledger.table.n_bytes < SHORT) & training, bytes=SHORT)
    long = (ledger.table.n_bytes > LONG) & training
    if case.n > 1:
        yield from case.documents("long", long, "note", bytes=LONG)
    yield from case.documents(
        "unbroken", (ledger.longest > UNBROKEN) & training, "warning", bytes=UNBROKEN
    )


def _troubles(case: _Case) -> Iterator[Finding]:
    bits = case.survey.documents.troubles
    for number, name in enumerate(TROUBLES):
        chosen = (bits >> number & 1).astype(bool)
        yield from case.documents(name, chosen, characters=case.survey.troubles[name])


def _leak(case: _Case) -> Iterator[Finding]:
    leak = case.leak
    if leak is None:
        return
    known = leak.copies + leak.alike
    if known or leak.passages >= LEAK:
        share = known / leak.documents if leak.documents else 0.0
        bad = leak.passages >= LEAK or share >= MANY
        near = not leak.named and len(case.copies.alike_rows)  # one may hold what leaks
        pairs = tuple(f"{case.name(left)} = {case.name(right)}" for left, right in leak.examples)
        yield Finding(
            "leak" if leak.named else "split_leak" if leak.documents else "tail_leak",
            "warning" if bad else "note",
            {"n": known, "validation": leak.documents, "passages": leak.passages},
            pairs,
            remedy="" if known or near else "passage_leak",
        )


CHECKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _unreadable,
    _empty,
    _little,
    _same,
    _alike,
    _passages,
    _leak,
    _lines,
    _lengths,
    _troubles,
)


def _short(text: str, width: int = 60) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
