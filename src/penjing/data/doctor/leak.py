"""What of a validation text stands in the training text: a model was trained on the answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.data.doctor.minhash import find_alike
from penjing.data.doctor.passages import known_share
from penjing.data.doctor.survey import Survey
from penjing.data.splitting import TRAIN, VALIDATION, Choice, choose

EXAMPLES = 3


@dataclass(frozen=True)
class Leak:
    """What of a validation text is known from training."""

    named: bool  # whether the validation text was named, or is what `pretrain` would keep aside
    documents: int  # for validation; 0 where it is the tail of a long one
    copies: int  # of them, with the same text as one that is trained on
    alike: int  # of them, nearly the same as one that is trained on
    passages: float  # share of the validation text's passages, 0 to 1
    examples: tuple[tuple[int, int], ...] = ()  # validation and training document, by number


def find_leak(survey: Survey, validation_fraction: float) -> Leak | None:
    """Hold the validation text against the training text; None if there is no validation text.

    Args:
        validation_fraction: what is kept aside of the training text where no validation text was
            named; as `penjing pretrain` does it, copies are left out first.
    """
    ledger = survey.documents
    if ledger.validation.any():
        return _between(survey, survey.training, ledger.validation, named=True)
    if not validation_fraction:
        return None
    try:
        choice = choose(ledger.table, validation_fraction=validation_fraction, exact=False)
    except DataError:  # too little text to split
        return None
    if choice.cut is not None:
        return _into_tail(survey, choice, choice.cut)
    labels = choice.labels
    return _between(survey, labels == TRAIN, labels == VALIDATION, named=False)


def _into_tail(survey: Survey, choice: Choice, cut: int) -> Leak:
    """From the rest of the text into the tail of one long document."""
    table = survey.documents.table
    begin, size = int(table.n_bytes[:cut].sum()), int(table.n_bytes[cut])
    border = begin + size * choice.at // int(table.n_characters[cut])
    in_document = survey.passages_of(np.arange(len(table.n_bytes)) == cut)
    tail = in_document & (survey.passage_ends > border)
    trained = survey.passages_of(choice.labels == TRAIN) & ~tail
    share = known_share(survey.passages[tail], survey.passages[trained])
    return Leak(named=False, documents=0, copies=0, alike=0, passages=share)


def _between(
    survey: Survey, training: NDArray[np.bool_], validation: NDArray[np.bool_], *, named: bool
) -> Leak:
    """From some documents, (N,), into others."""
    ledger = survey.documents
    order = np.concatenate([np.flatnonzero(training), np.flatnonzero(validation)])
    same = ledger.copies(order)
    copied = np.flatnonzero(validation & (same >= 0))
    copied = copied[training[same[copied]]]
    found = find_alike(ledger.signatures[order], ledger.comparable[order], leaders=training[order])
    first = int(training.sum())  # of the validation documents, in `order`
    rows = first + np.flatnonzero(found.leader[first:] >= 0)
    rows = rows[~np.isin(order[rows], copied)]
    pairs = [(int(n), int(same[n])) for n in copied]
    pairs += [(int(order[n]), int(order[found.leader[n]])) for n in rows]
    asked, known = survey.passages_of(validation), survey.passages_of(training)
    return Leak(
        named=named,
        documents=int(validation.sum()),
        copies=len(copied),
        alike=len(rows),
        passages=known_share(survey.passages[asked], survey.passages[known]),
        examples=tuple(pairs[:EXAMPLES]),
    )
