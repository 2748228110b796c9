"""What a pass works on: which rows there are, and the memory between its stages.

A *row* is one token of one text. A *span* is the rows of one text in this pass, side by side. At
most MAX_ROWS are worked on at once, so that what lies between two stages stays in the processor's
cache, and memory is known before the first pass.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.kernels.activations import row_bytes
from penjing.kernels.attention import CHUNK, TOGETHER, partial_floats
from penjing.kernels.pages import aligned
from penjing.kernels.summary import parts_bytes
from penjing.kernels.tables import Model
from penjing.kernels.vector import LANES

MAX_ROWS = 64
SPLIT_ROWS = 8  # so few rows are shared out among threads by chunks of their past
QUERIES_AT_ONCE = 32  # that share a key/value head

# `Work.plan`: numbers of this pass.
N_ROWS, N_SPANS, N_LOGITS = 0, 1, 2
LOGITS = 3  # address: (N_LOGITS, V) float32
COS, SIN, ROTATION_STRIDE = 4, 5, 6  # addresses of RoPE's tables, or 0; bytes of a position
PARTIALS, PARTIALS_OWN = 7, 8  # address for attention's partial results; bytes for each thread
N_CHUNKS = 9  # chunks of the longest past
N_PLAN = 10

# `Work.spans`: a row for each span.
CACHE_BLOCKS, POSITION, FIRST, COUNT = range(4)


class Work(NamedTuple):
    """Arrays, and addresses of float32 rows, each with its bytes from row to row."""

    plan: NDArray[np.int64]  # (N_PLAN,)
    spans: NDArray[np.int64]  # (MAX_ROWS, 4)
    caches: NDArray[np.int64]  # (MAX_ROWS, n_layer): addresses of each span's layers
    ids: NDArray[np.int64]  # (MAX_ROWS,): each row's token
    places: NDArray[np.int64]  # (MAX_ROWS,): and its position in its text
    chosen: NDArray[np.int64]  # (MAX_ROWS,): the rows whose logits are asked for
    stream: int  # the residual stream
    stream_row: int
    projected: int  # queries, then keys, then values of a row
    projected_row: int
    query_bytes: int  # of a row's queries
    key_bytes: int  # of its keys, and of its values
    queries: int  # (n_kv_head, MAX_ROWS, group, W)
    change: int  # what is added to the stream
    change_row: int
    gate: int
    inner: int
    inner_row: int
    inner_records: int  # the same, quantized
    input: int  # what the next product reads: a normed row, or attention's output
    input_row: int
    records: int  # the same, quantized; row_bytes(columns) from row to row
    records_row: int  # the most that a row takes
    parts: int  # what is summed up of each logits row, part by part
    parts_row: int
    summaries: NDArray[np.float64]  # (MAX_ROWS, 3): largest logit, its place, log(sum(exp))
    own: int  # of each thread alone: input and records of one row, scratch, queries of one head
    own_row: int
    scratch: int  # where in a thread's own memory scratch begins
    own_queries: int  # and where the queries do


def padded(count: int) -> int:
    """Bytes of so many floats, in whole cache lines, with room to read on past the end."""
    return 4 * (-(-count // LANES) + 1) * LANES


def scratch_bytes(model: Model) -> int:
    """Two heads, and scores: what `heads` and attention need by the way."""
    return 4 * padded(model.padded) + 4 * TOGETHER * CHUNK + 64


class Memory:
    """The buffers of a program, and the `Work` that points into them."""

    def __init__(self, model: Model, threads: int) -> None:
        self.model, self.threads = model, threads
        self.buffers: list[NDArray[np.uint8]] = []
        heads, kv = model.n_head * model.head_dim, model.n_kv_head * model.head_dim
        widest = max(model.width, heads, model.n_inner)
        rows = {
            "stream": padded(model.width),
            "projected": padded(heads) + 2 * padded(kv),
            "change": padded(model.width),
            "inner": padded(model.n_inner),
            "input": padded(widest),
            "records": row_bytes(widest),
            "parts": parts_bytes(model.vocab_size),
        }
        group = model.n_head // model.n_kv_head
        scratch = rows["input"] + rows["records"]
        queries = scratch + scratch_bytes(model)
        own = queries + 4 * group * model.padded
        self.work = Work(
            plan=np.zeros(N_PLAN, np.int64),
            spans=np.zeros((MAX_ROWS, 4), np.int64),
            caches=np.zeros((MAX_ROWS, model.n_layer), np.int64),
            ids=np.zeros(MAX_ROWS, np.int64),
            places=np.zeros(MAX_ROWS, np.int64),
            chosen=np.zeros(MAX_ROWS, np.int64),
            summaries=np.zeros((MAX_ROWS, 3)),
            queries=self._take(4 * model.n_kv_head * MAX_ROWS * group * model.padded),
            query_bytes=padded(heads),
            key_bytes=padded(kv),
            gate=self._take(MAX_ROWS * rows["inner"]),
            inner_records=self._take(MAX_ROWS * row_bytes(model.n_inner)),
            own=self._take(threads * own),
            own_row=own,
            scratch=scratch,
            own_queries=queries,
            **{name: self._take(MAX_ROWS * size) for name, size in rows.items()},
            **{f"{name}_row": size for name, size in rows.items()},
        )
        self._partials = aligned(0)

    def _take(self, n_bytes: int) -> int:
        self.buffers.append(aligned(n_bytes))
        return int(self.buffers[-1].ctypes.data)

    def make_room(self, n_rows: int, longest: int) -> None:
        """Room for attention's partial results, with `longest` positions in the longest text."""
        group = self.model.n_head // self.model.n_kv_head
        n_chunks = -(-longest // CHUNK)
        result = 4 * partial_floats(self.model.padded) * n_chunks
        own = max(QUERIES_AT_ONCE, group) * result
        needed = max(self.threads * own, min(n_rows, SPLIT_ROWS) * self.model.n_head * result)
        if self._partials.nbytes < needed:
            self._partials = aligned(0)
            self._partials = aligned(needed + needed // 2)
            self.work.plan[PARTIALS] = self._partials.ctypes.data
        self.work.plan[PARTIALS_OWN], self.work.plan[N_CHUNKS] = own, n_chunks

    @property
    def n_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(buffer.nbytes for buffer in self.buffers) + self._partials.nbytes
