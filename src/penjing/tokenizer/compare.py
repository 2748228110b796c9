"""Tokenizers side by side: how many tokens a text becomes, and what share each script has in them.

A token is counted for the characters that it stands for, in equal parts; for white space only where
it holds nothing else, for most vocabularies put the space before a word into the word's token.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.tokenizer.alphabet import require_unicode
from penjing.tokenizer.figures import CutFigures, TextFigures
from penjing.tokenizer.scripts import DIGITS, SIGNS, SPACES, UNSPACED, scripts_of
from penjing.tokenizer.splits import ANYWHERE, LINE_END, cut
from penjing.tokenizer.tokenizer import Tokenizer

_BATCH = 1 << 18  # characters that are looked at together
_LINE = 1 << 21  # characters of a line that is too long to be looked at whole

Ints = NDArray[np.integer[Any]]


def compare_tokenizers(
    tokenizers: Mapping[str, Tokenizer], texts: Iterable[str]
) -> dict[str, CutFigures]:
    """The figures of each tokenizer over all the texts, in the order of the tokenizers.

    Each text is encoded for itself, as plain text, without a begin or end token. Long ones are
    looked at in parts, where all tokenizers may be cut at line ends.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    total = _Total()
    documents = 0
    boundary = common_boundary(tokenizers.values())

    def pieces() -> Iterator[str]:
        nonlocal documents
        for text in texts:
            require_unicode(text)
            documents += 1
            yield from _parts(text, boundary)

    cuts = {name: _Cut(tokenizer) for name, tokenizer in tokenizers.items()}
    for batch in _batches(pieces()):
        units = _Units(batch)
        total.add(units)
        for each in cuts.values():
            each.add(batch, units)
    text = total.figures(documents)
    return {name: each.figures(text) for name, each in cuts.items()}


def common_boundary(tokenizers: Iterable[Tokenizer]) -> re.Pattern[str] | None:
    """Where a long text may be cut for all of them; None: nowhere that we know.

    A tokenizer that can be cut anywhere that we know can be cut at line ends.
    """
    found = {tokenizer.boundary for tokenizer in tokenizers}
    if None in found:
        return None
    found = found - {ANYWHERE} or found
    return LINE_END if len(found) > 1 else found.pop()


def count_tokens(tokenizers: Iterable[Tokenizer], texts: Iterable[str]) -> list[int]:
    """Characters of all texts, and then their tokens with each of the tokenizers.

    Each text is encoded for itself, as plain text, without a begin or end token. The memory is that
    of the largest text; what is larger still may come in pieces, cut at `common_boundary`.

    Raises:
        TokenizerError: a text is not valid Unicode.
    """
    every = list(tokenizers)
    sums = [0] * (1 + len(every))
    for batch in _batches(texts):
        sums[0] += sum(map(len, batch))
        for n, tokenizer in enumerate(every, start=1):
            sums[n] += sum(len(ids) for ids, _ in tokenizer.encode_pieces(batch))
    return sums


def _parts(text: str, boundary: re.Pattern[str] | None) -> Iterator[str]:
    """A long text cut at line ends, and only within endless lines elsewhere: it may part a word."""
    if boundary is None:
        yield text
        return
    for lines in cut(text, _BATCH, LINE_END):
        yield from cut(lines, _LINE, boundary)


def _batches(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Units:
    """The characters of some texts in a row, and where words begin and end in them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = "".join(texts)
        self.starts = np.cumsum([0, *map(len, texts)])  # (texts + 1,): of each text, and the end
        self.scripts, self.names = scripts_of(self.text)  # (characters,)
        self.space = self._are({SPACES})
        run = self._runs()
        n_runs = int(run.max(initial=0)) + 1
        apart = np.bincount(run, self._are(UNSPACED), n_runs) > 0
        letters = self._are({name for name in self.names if name not in SIGNS | UNSPACED})
        word = (np.bincount(run, letters | self._are({DIGITS}), n_runs) > 0) & ~apart
        apart[0] = word[0] = False
        self.unspaced, self.in_words, self.words = apart[run], word[run], int(word.sum())

    def _are(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Of each character, whether it is of one of these scripts."""
        return np.array([name in names for name in self.names])[self.scripts]

    def _runs(self) -> Ints:
        """The number, from 1, of the run between white space that each character is of; else 0."""
        begins = ~self.space
        begins[1:] &= self.space[:-1]
        first = self.starts[:-1][self.starts[:-1] < len(self.text)]
        begins[first] = ~self.space[first]
        return np.where(self.space, 0, np.cumsum(begins))


class _Total:
    """`TextFigures`, batch by batch."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._scripts: Counter[str] = Counter()

    def add(self, units: _Units) -> None:
        self._sums.update(
            characters=len(units.text),
            bytes=len(units.text.encode("utf-8")),
            words=units.words,
            in_words=int(units.in_words.sum()),
            unspaced=int(units.unspaced.sum()),
        )
        counts = np.bincount(units.scripts, minlength=len(units.names)).tolist()
        self._scripts.update(dict(zip(units.names, counts, strict=True)))

    def figures(self, documents: int) -> TextFigures:
        sums = self._sums
        return TextFigures(
            documents=documents,
            characters=sums["characters"],
            bytes=sums["bytes"],
            words=sums["words"],
            in_words=sums["in_words"],
            unspaced=sums["unspaced"],
            scripts={name: n for name, n in self._scripts.most_common() if n},
        )


class _Cut:
    """`CutFigures` of one tokenizer, batch by batch."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes: dict[int, bytes] = {}  # of each token that was met
        self._counts: Counter[int] = Counter()
        self._scripts: Counter[str] = Counter()
        self._unspaced = 0.0

    def add(self, texts: Sequence[str], units: _Units) -> None:
        rows = self._tokenizer.encode_batch(texts)
        ids = np.concatenate([np.asarray(row, np.int64) for row in rows])
        distinct, counts = np.unique(ids, return_counts=True)
        self._counts.update(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))
        for id in distinct.tolist():
            if id not in self._bytes:
                self._bytes[id] = self._tokenizer.token_bytes(id)
        token, character = self._places(ids, texts, units)
        weights = _shares(token, units.space[character], len(ids))
        shares = np.bincount(units.scripts[character], weights, len(units.names)).tolist()
        self._scripts.update(dict(zip(units.names, shares, strict=True)))
        self._unspaced += float(weights[units.unspaced[character]].sum())

    def _places(self, ids: Ints, texts: Sequence[str], units: _Units) -> tuple[Ints, Ints]:
        """Which token, and which character, each part of a token belongs to.

        Where the tokens' bytes in a row are the text, the parts are its bytes; else, characters.
        """
        parts = [self._bytes[id] for id in ids.tolist()]
        if b"".join(parts) == units.text.encode("utf-8"):
            codes = np.frombuffer(units.text.encode("utf-32-le"), np.uint32)
            width = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
            token = np.repeat(np.arange(len(ids)), [len(part) for part in parts])
            return token, np.repeat(np.arange(len(codes)), width)
        spans = [
            (begin + int(start), end + int(start))
            for text, start in zip(texts, units.starts[:-1], strict=True)
            for begin, end in self._tokenizer.trace(text).offsets
        ]
        begins, ends = np.array(spans, np.int64).reshape(-1, 2).T
        token = np.repeat(np.arange(len(spans)), ends - begins)
        within = np.arange(len(token)) - np.repeat(np.cumsum(ends - begins), ends - begins)
        return token, np.repeat(ends, ends - begins) + within

    def figures(self, text: TextFigures) -> CutFigures:
        unknown = self._tokenizer.unknown_id
        return CutFigures(
            text=text,
            vocab_size=self._tokenizer.vocab_size,
            tokens=self._counts.total(),
            fragments=sum(n for id, n in self._counts.items() if not _whole(self._bytes[id])),
            unknown=0 if unknown is None else self._counts[unknown],
            unspaced=self._unspaced,
            scripts={name: self._scripts[name] for name in text.scripts},
        )


def _shares(token: Ints, space: NDArray[np.bool_], n_tokens: int) -> NDArray[np.float64]:
    """The weight of each part of a token: all of one token's are 1 together."""
    parts = np.bincount(token, minlength=n_tokens)
    visible = np.bincount(token, ~space, n_tokens)
    counted = np.where(visible[token] > 0, ~space, True)
    weights: NDArray[np.float64] = counted / np.where(visible > 0, visible, parts)[token]
    return weights


def _whole(raw: bytes) -> bool:
    """Whether bytes are characters, and no part of one."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
