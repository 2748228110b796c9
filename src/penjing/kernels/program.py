"""A network ready to run: packed weights, memory, a team of threads, and one call for a pass."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from time import perf_counter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import GenerationError
from penjing.kernels.cache import CacheShape, KernelCache
from penjing.kernels.company import Company
from penjing.kernels.features import Isa
from penjing.kernels.forward import run
from penjing.kernels.kept import Kept, python_function
from penjing.kernels.network import Network
from penjing.kernels.rotation import RotationTable
from penjing.kernels.scores import Logits, Scores, Summary
from penjing.kernels.tables import build
from penjing.kernels.threads import Team
from penjing.kernels.work import (
    COS,
    LOGITS,
    MAX_ROWS,
    N_LOGITS,
    N_ROWS,
    N_SPANS,
    ROTATION_STRIDE,
    SIN,
    Memory,
)

# A text's cache, ids to append to it, and for how many of the last of them logits are wanted.
Row: TypeAlias = tuple[KernelCache, Sequence[int] | NDArray[np.int64], int]


class _Piece(NamedTuple):
    """Some tokens of a text, side by side."""

    cache: KernelCache
    position: int  # of the first
    ids: Sequence[int] | NDArray[np.int64]
    n_logits: int  # wanted for so many of the last


def _passes(texts: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Texts cut into passes of at most MAX_ROWS tokens, in order."""
    pieces: list[_Piece] = []
    room = MAX_ROWS
    for cache, position, ids, n_logits in texts:
        silent, begin = len(ids) - n_logits, 0  # tokens without logits come first
        while begin < len(ids):
            end = min(len(ids), begin + room)
            wanted = max(0, end - max(begin, silent))
            pieces.append(_Piece(cache, position + begin, ids[begin:end], wanted))
            room -= end - begin
            begin = end
            if room == 0:
                yield pieces
                pieces, room = [], MAX_ROWS
    if pieces:
        yield pieces


class Program:
    """Computes logits. A text's logits depend on that text alone, to the last bit.

    They are the same whatever else is computed in the call, however the text is cut into calls, and
    for any number of threads. One thread at a time may call it; others wait.
    """

    def __init__(self, network: Network, *, isa: Isa, threads: int = 1) -> None:
        """Pack the weights; those of `network` are not needed any more then.

        Raises:
            PenjingError: the kernels don't know a kind of weight.
        """
        if threads < 1:
            raise GenerationError(f"At least one thread is needed, not {threads}.")
        self.isa, tables = isa, build(network, isa, threads)
        self._tables, self._memory = tables, Memory(tables.model, threads)
        self.vocab_size, self.context_length = network.vocab_size, network.context_length
        self.cache_shape = CacheShape(
            n_layer=len(network.layers),
            n_kv_head=network.n_kv_head,
            head_dim=network.head_dim,
            half=network.half_cache,
        )
        self._rotation = RotationTable(network.rope) if network.rope is not None else None
        self._turn, self._company = threading.Lock(), Company()
        kept = Kept((tables.model, self._memory.work))
        self._team = Team(python_function(run, kept, 2), threads)

    @property
    def threads(self) -> int:
        """How many compute together."""
        return self._team.threads

    @property
    def n_bytes(self) -> int:
        """Memory of weights and buffers, without caches."""
        return self._tables.n_bytes + self._memory.n_bytes

    def new_cache(self, capacity: int | None = None) -> KernelCache:
        """An empty past, by default for the whole context.

        Raises:
            GenerationError: it takes more memory than there is.
        """
        return KernelCache(self.cache_shape, self.context_length if capacity is None else capacity)

    def forward(self, rows: Sequence[Row]) -> list[Scores]:
        """Append each text's ids to its cache -> the scores of its last `n_logits`, for each.

        The caches grow when all is computed; after an error they are as before.

        Raises:
            GenerationError: ids outside the vocabulary, no room in a cache or in the context, the
                same cache twice, more logits than ids, or the program is closed.
        """
        texts = [self._check(*row) for row in rows]
        if len({id(text.cache) for text in texts}) < len(texts):
            raise GenerationError("The same cache was given twice in one call.")
        logits = np.empty((sum(text.n_logits for text in texts), self.vocab_size), np.float32)
        summaries: list[Summary] = []
        with self._turn:
            for pieces in _passes(texts):
                summaries += self._pass(pieces, logits[len(summaries) :])
        for text in texts:
            text.cache.length += len(text.ids)
        ends = accumulate((text.n_logits for text in texts), initial=0)
        return [Scores(logits[a:b], summaries[a:b]) for a, b in pairwise(ends)]

    def _check(
        self, cache: KernelCache, ids: Sequence[int] | NDArray[np.int64], n_logits: int
    ) -> "_Piece":
        n, end = len(ids), cache.length + len(ids)
        if cache.shape != self.cache_shape:
            raise GenerationError("The cache was made for another model. Make it with new_cache.")
        if not 0 <= n_logits <= n or n == 0:
            raise GenerationError(f"Logits of {n_logits} tokens were asked for, but {n} are given.")
        if end > cache.capacity:
            raise GenerationError(
                f"The cache holds {cache.capacity} positions: {cache.length} are filled and {n} "
                "more do not fit. Make a larger cache, or trim it."
            )
        if end > self.context_length:
            raise GenerationError(
                f"The model can read {self.context_length} tokens, and the text would have {end}."
            )
        smallest, largest = min(ids), max(ids)
        if smallest < 0 or largest >= self.vocab_size:
            raise GenerationError(
                f"Token {smallest if smallest < 0 else largest} is not in the vocabulary of "
                f"{self.vocab_size}: the text was encoded for another model."
            )
        return _Piece(cache, cache.length, ids, n_logits)

    def _pass(self, pieces: "list[_Piece]", logits: Logits) -> list[Summary]:
        """Compute some rows, MAX_ROWS at most, and logits of the chosen -> their summaries."""
        work, row, chosen = self._memory.work, 0, 0
        longest = max(piece.position + len(piece.ids) for piece in pieces)
        for span, (cache, position, ids, n_logits) in enumerate(pieces):
            count = len(ids)
            work.spans[span] = cache.blocks, position, row, count
            work.caches[span] = cache.addresses
            work.ids[row : row + count] = ids
            work.places[row : row + count] = range(position, position + count)
            row += count
            work.chosen[chosen : chosen + n_logits] = range(row - n_logits, row)
            chosen += n_logits
        plan = work.plan
        plan[N_ROWS], plan[N_SPANS], plan[N_LOGITS] = row, len(pieces), chosen
        plan[LOGITS] = logits.ctypes.data
        if self._rotation is not None:
            self._rotation.reach(longest)
            plan[COS], plan[SIN], plan[ROTATION_STRIDE] = self._rotation.addresses
        self._memory.make_room(row, longest)
        self._run(row)
        found = work.summaries[:chosen].tolist()
        return [Summary(top, int(id), logsumexp) for top, id, logsumexp in found]

    def _run(self, rows: int) -> None:
        """The pass that is planned, with the whole team, or a single row's alone if that pays."""
        if rows > 1 or self.threads == 1:
            self._team.run()
            return
        began = perf_counter()
        self._team.run(alone=self._company.alone)
        self._company.record(perf_counter() - began)

    def close(self) -> None:
        """End the threads. May be called again; `forward` is an error then."""
        self._team.close()
