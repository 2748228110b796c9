"""Which documents of a text are left out when it is cleaned, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import ConfigError
from penjing.data.doctor.diagnosis import find_copies
from penjing.data.doctor.lines import COMMON
from penjing.data.doctor.minhash import SIMILAR, find_alike
from penjing.data.doctor.survey import Survey
from penjing.data.hashing import text_hashes
from penjing.data.splitting import numbers

# Why a document is left out, in the order of their standing: the first that holds is told. What is
# left out for one reason is no longer there for others to repeat.
REASONS = ("unbroken", "short", "long", "against", "same", "alike", "empty")
KEPT = -1


@dataclass(frozen=True)
class CleanConfig:
    """What is left out of a text."""

    same: bool = True  # documents with the same text as an earlier one
    similar: float = SIMILAR  # documents that share so much with an earlier one; 0: none
    characters: bool = True  # control, invisible and private-use characters
    lines: int = 0  # lines of 20 columns or more that stand in so many places; 0: none
    shortest: int = 1  # characters of a document
    longest: int = 0  # characters of a document; 0: any number
    unbroken: int = 0  # documents with more bytes than this without white space or Han; 0: none
    repair: bool = False  # read damaged files without what is damaged, rather than refuse them

    def check(self) -> None:
        """Raises ConfigError for a value that cannot work."""
        if self.similar and not 0.5 <= self.similar <= 1:
            raise ConfigError(f"similar must be 0 or from 0.5 to 1, got {self.similar}.")
        if self.lines and self.lines < COMMON:
            raise ConfigError(f"lines must be 0 or at least {COMMON} places, got {self.lines}.")
        for name in ("shortest", "longest", "unbroken"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}.")


def judge(found: Survey, config: CleanConfig) -> "Standing":
    """For each document whether it is kept, or else why not."""
    ledger, training = found.documents, found.training
    lengths = ledger.table.n_characters
    verdict = np.full(len(ledger), KEPT, dtype=np.int64)
    leaders = np.full(len(ledger), -1, dtype=np.int64)

    def say(reason: str, chosen: NDArray[np.bool_], like: NDArray[np.int64] | None = None) -> None:
        chosen = chosen & (verdict == KEPT) & training
        verdict[chosen] = REASONS.index(reason)
        if like is not None:
            leaders[chosen] = like[chosen]

    if config.unbroken:
        say("unbroken", ledger.longest > config.unbroken)
    say("short", lengths < config.shortest)
    if config.longest:
        say("long", lengths > config.longest)
    if not training.all():
        like = _against(found, config)
        say("against", like >= 0, like)
    copies = find_copies(found, training & (verdict == KEPT), config.similar or 1.0)
    if config.same:
        say("same", copies.same >= 0, copies.same)
    if config.similar:
        say("alike", copies.alike.leader >= 0, copies.alike.leader)
    return Standing(found, config, verdict, leaders)


def _against(found: Survey, config: CleanConfig) -> NDArray[np.int64]:
    """For each document one of the text to keep clear of that it repeats, or -1."""
    ledger, training = found.documents, found.training
    order = np.concatenate([np.flatnonzero(~training), np.flatnonzero(training)])
    same = ledger.copies(order)
    same[(same >= 0) & training[same]] = -1
    signatures, comparable = ledger.signatures[order], ledger.comparable[order]
    least = config.similar or 1.0
    alike = find_alike(signatures, comparable, least=least, leaders=~training[order])
    near = np.full(len(ledger), -1, dtype=np.int64)
    some = np.flatnonzero(alike.leader >= 0)
    near[order[some]] = order[alike.leader[some]]
    return np.where(same >= 0, same, near)


class Standing:
    """Which documents are kept: by the survey, and by what is left when they are trimmed.

    Args:
        verdict: the reason to leave a document out, as an index of REASONS, or `KEPT`, (N,).
        leaders: the document that it repeats, or -1, (N,).
    """

    def __init__(
        self,
        found: Survey,
        config: CleanConfig,
        verdict: NDArray[np.int64],
        leaders: NDArray[np.int64],
    ) -> None:
        self._config, self._verdict, self._leaders = config, verdict, leaders
        self._cores = found.documents.table.core[:, 0].astype(np.uint64)
        kept = np.flatnonzero(verdict == KEPT)
        self._kept = kept[np.argsort(self._cores[kept], kind="stable")]
        self._kept_cores = self._cores[self._kept]  # sorted
        self._changed: dict[int, int] = {}  # core of a document that was changed: its number

    def reason(self, document: int) -> str | None:
        """Why a document is left out; None if it is kept."""
        verdict = int(self._verdict[document])
        return None if verdict == KEPT else REASONS[verdict]

    def leader(self, document: int) -> int | None:
        """The document that it repeats, if that is why it is left out."""
        leader = int(self._leaders[document])
        return None if leader < 0 else leader

    def reconsider(self, document: int, text: str, *, changed: bool) -> str | None:
        """Why a document is left out after all, with its text as it is now; None if it is kept.

        Documents come in their order. What was changed may be the same as another now.
        """
        if len(text.strip()) < max(1, self._config.shortest):
            self._verdict[document] = REASONS.index("empty")
        elif self._config.same:
            core = int(self._cores[document])
            if changed:
                core = int(numbers(text_hashes(text)[1])[0, 0])
            first = self._changed.get(core, -1)
            if changed and first < 0:
                first = self._first_kept(core, document)
                self._changed[core] = document if first < 0 else first
            if first >= 0:
                self._verdict[document] = REASONS.index("same")
                self._leaders[document] = first
        return self.reason(document)

    def _first_kept(self, core: int, document: int) -> int:
        """A document before this one that is kept and has that core, or -1."""
        at = int(np.searchsorted(self._kept_cores, np.uint64(core)))
        known = at < len(self._kept) and int(self._kept_cores[at]) == core
        return int(self._kept[at]) if known and self._kept[at] < document else -1
