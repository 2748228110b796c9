"""Texts to ids, in bulk: the scanner finds words, the cache knows most of them, merges the rest."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import normalizers

from penjing.compiling.calling import ask
from penjing.compiling.functions import entry, inlined
from penjing.tokenizer.fast.batches import Batch, batch_of
from penjing.tokenizer.fast.bpe import SCRATCH_BYTES, SHORT, merge_long, merge_short
from penjing.tokenizer.fast.classes import classes_for
from penjing.tokenizer.fast.memory import address, number, prefetch, write_quad
from penjing.tokenizer.fast.merges import MergeTable
from penjing.tokenizer.fast.scanner import word_end
from penjing.tokenizer.fast.settled import is_settled
from penjing.tokenizer.fast.strings import find
from penjing.tokenizer.fast.word_cache import (
    LONGEST,
    empty_cache,
    key_of,
    last_line,
    line_of,
    recall,
    remember,
)

Ids = NDArray[np.uint32]
Piece = tuple[str, bool]  # a text or a part of one, and whether the text ends there

_NFC = normalizers.NFC()
_WORDS = 1 << 16  # in the cache of a thread: 2 MB
_AHEAD = 32  # words that are looked for before the first of them is looked up
_SLACK = 16  # ids that are written behind the last one
_TASK = 1 << 19  # characters that a thread encodes at once


class BulkEncoder:
    """Encodes as the tokenizer does whose merges these are, on all cores.

    A call of `encode` may run beside others. Memory is flat: some megabytes a thread, besides the
    texts that are at work.

    Args:
        model: the "model" of a tokenizer.json that `can_encode` accepts.
        rule: how words are cut, a name of the scanners' RULES.
        threads: how many work; by default one for each processor that this process may use.
        compose: texts are normalised to Unicode's form C before.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        rule: str,
        threads: int | None = None,
        *,
        compose: bool = False,
    ) -> None:
        self._compose = compose
        self._table = MergeTable(model)
        self._classes, self._scanner = classes_for(rule), word_end(rule)
        self._threads = threads or _processors()
        self._idle: deque[_Worker] = deque()

    def compile(self) -> None:
        """Compile what encodes, or find it on disk, where that was not done before."""
        self._run([("", True)])

    def encode(self, pieces: Iterable[Piece]) -> Iterator[tuple[Ids, bool]]:
        """The ids of each piece, in turn, with whether its text ends there.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        tasks = _tasks(pieces)
        first = list(islice(tasks, 2))
        if len(first) < 2 or self._threads == 1:
            for task in chain(first, tasks):
                yield from self._run(task)
            return
        with ThreadPoolExecutor(self._threads, "penjing-encode") as pool:
            waiting: deque[Future[list[tuple[Ids, bool]]]] = deque()
            try:
                for task in chain(first, tasks):
                    waiting.append(pool.submit(self._run, task))
                    if len(waiting) > 2 * self._threads:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _run(self, task: list[Piece]) -> list[tuple[Ids, bool]]:
        batch = batch_of(text for text, _ in task)
        if self._compose and not is_settled(batch):
            batch = batch_of(_NFC.normalize_str(text) for text, _ in task)
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker()
        ids, ends = worker.encode(batch, self._table, self._classes, self._scanner)
        self._idle.append(worker)
        starts = [0, *ends[:-1]]
        return [
            (ids[start:end], is_last)
            for start, end, (_, is_last) in zip(starts, ends, task, strict=True)
        ]


class _Worker:
    """What a thread needs for itself, one thread at a time."""

    def __init__(self) -> None:
        self._cache = empty_cache(_WORDS)
        self._scratch = np.zeros(SCRATCH_BYTES, np.uint8)

    def encode(
        self, batch: Batch, table: MergeTable, classes: NDArray[np.uint16], scanner: int
    ) -> tuple[Ids, list[int]]:
        """All ids of a batch, and where those of each text end."""
        ids = np.empty(len(batch.data) + _SLACK, np.uint32)  # a token has a byte at least
        ends = np.empty(len(batch.ends), np.int64)
        found = _encode(
            batch.data,
            batch.ends,
            classes,
            scanner,
            table.addresses,
            self._cache,
            self._scratch,
            ids,
            ends,
        )
        return ids[:found].copy(), ends.tolist()


@inlined
def _merge(word, length, tables, scratch, out):
    """The ids of a word that is not in the cache -> how many."""
    strings = number(tables + 48)
    if strings:
        starts, slots, mask = number(tables + 56), number(tables + 64), number(tables + 72)
        id, _, _ = find(strings, starts, slots, mask, word, length)
        if id >= 0:
            write_quad(out, id)
            return np.int64(1)
    if length <= SHORT:
        return merge_short(word, length, tables, scratch, out)
    return merge_long(word, length, tables, out)


@entry
def _encode(data, text_ends, classes, scanner, tables, cache, scratch, ids, ends):
    """Encode texts one after the other -> how many ids there are; `ends` of each text's.

    Words are taken some at a time: while the last ones are found, the cache lines of the first ones
    come from memory.
    """
    begin, classes_at, tables_at = address(data), address(classes), address(tables)
    cache_at, mask, scratch_at = address(cache), last_line(len(cache)), address(scratch)
    ids_at = out = address(ids)
    words = np.empty(_AHEAD + 1, np.int64)  # where each begins, and where the last one ends
    for text in range(len(text_ends)):
        words[0] = begin + (text_ends[text - 1] if text > 0 else 0)
        end = begin + text_ends[text]
        while words[0] < end:
            found = 0
            while found < _AHEAD and words[found] < end:
                word = words[found]
                after = ask(scanner, (word, end, classes_at))
                if after - word <= LONGEST:
                    prefetch(line_of(cache_at, mask, key_of(word, after - word)))
                found += 1
                words[found] = after
            for i in range(found):
                word, length = words[i], words[i + 1] - words[i]
                if length <= LONGEST:
                    key = key_of(word, length)
                    line = line_of(cache_at, mask, key)
                    count = recall(line, key, out)
                    if count == 0:
                        count = _merge(word, length, tables_at, scratch_at, out)
                        remember(line, key, out, count)
                else:
                    count = _merge(word, length, tables_at, scratch_at, out)
                out += 4 * count
            words[0] = words[found]
        ends[text] = (out - ids_at) // 4
    return (out - ids_at) // 4


def _tasks(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    task: list[Piece] = []
    size = 0
    for piece in pieces:
        task.append(piece)
        size += len(piece[0])
        if size >= _TASK:
            yield task
            task, size = [], 0
    if task:
        yield task


def _processors() -> int:
    """RAYON_NUM_THREADS if it is set, as for `tokenizers`; else what this process may use."""
    asked = os.environ.get("RAYON_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
