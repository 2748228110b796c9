"""The stages of attention: heads made and kept, then attention shared out, then its rows gathered.

With few rows, what is shared out is a chunk of the past at a time, so that a single token keeps all
threads at work; a single row's heads are made by those that need them. With many rows, it is some
of them with their whole past.
"""

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.kernels.activations import quantize_row
from penjing.kernels.attention import CHUNK, combine
from penjing.kernels.calling import call
from penjing.kernels.functions import FLOAT
from penjing.kernels.heads import HALF, keep_key, keep_value, make_head, take_head
from penjing.kernels.stages import inputs, quantized_bytes
from penjing.kernels.tables import KEY_BIAS, KEY_NORM, QUERY_BIAS, QUERY_NORM, VALUE_BIAS
from penjing.kernels.vector import LANES
from penjing.kernels.work import (
    CACHE_BLOCKS,
    COS,
    COUNT,
    FIRST,
    MAX_ROWS,
    N_CHUNKS,
    N_ROWS,
    N_SPANS,
    PARTIALS,
    PARTIALS_OWN,
    POSITION,
    QUERIES_AT_ONCE,
    ROTATION_STRIDE,
    SIN,
    SPLIT_ROWS,
)

ONE = np.float32(1)


@inlined
def region_bytes(model, work, span):
    """Bytes of one head's keys, or of its values, in the cache of a span."""
    size = HALF if model.half_cache != 0 else FLOAT
    return work.spans[span, CACHE_BLOCKS] * LANES * model.padded * size


@inlined
def keys_of(model, work, span, layer, head):
    """Address of a key/value head's keys; its values follow."""
    return work.caches[span, layer] + 2 * head * region_bytes(model, work, span)


@inlined
def queries_of(model, work, row, head):
    """Address of the queries of a row that share key/value head `head`; the next row's follow."""
    group = model.n_head // model.n_kv_head
    return work.queries + FLOAT * model.padded * group * (head * MAX_ROWS + row)


@inlined
def shifted(address, by):
    """An address in floats further on, if it is one: 0 stays 0."""
    return address + FLOAT * by if address != 0 else 0


@inlined
def rotation(work, row):
    """Addresses of the cosines and sines at a row's position, or 0."""
    cos, sin = work.plan[COS], work.plan[SIN]
    if cos != 0:
        cos += work.places[row] * work.plan[ROTATION_STRIDE]
        sin += work.places[row] * work.plan[ROTATION_STRIDE]
    return cos, sin


@part
def make_queries(model, work, layer, row, head, scratch, out):
    """The queries of one row that share a key/value head."""
    group, head_dim, width = model.n_head // model.n_kv_head, model.head_dim, model.padded
    vectors, (cos, sin) = model.vectors[layer], rotation(work, row)
    source = work.projected + row * work.projected_row
    scale = np.float32(1 / np.sqrt(head_dim))
    for i in range(head * group, (head + 1) * group):
        bias = shifted(vectors[QUERY_BIAS], i * head_dim)
        make_head(
            source + FLOAT * i * head_dim, bias, vectors[QUERY_NORM], model.eps, cos, sin,
            head_dim, scale, scratch, out,
        )  # fmt: skip
        out += FLOAT * width


@part
def make_key_and_value(model, work, layer, span, row, head, scratch):
    """A key/value head of one row, into the cache."""
    head_dim, width, position = model.head_dim, model.padded, work.places[row]
    vectors, (cos, sin) = model.vectors[layer], rotation(work, row)
    source = work.projected + row * work.projected_row + work.query_bytes + FLOAT * head * head_dim
    bias = shifted(vectors[KEY_BIAS], head * head_dim)
    keys = keys_of(model, work, span, layer, head)
    made = scratch + 3 * FLOAT * (width + LANES)
    make_head(source, bias, vectors[KEY_NORM], model.eps, cos, sin, head_dim, ONE, scratch, made)
    keep_key(made, width, position, model.half_cache, keys)
    take_head(
        source + work.key_bytes, shifted(vectors[VALUE_BIAS], head * head_dim), head_dim, made
    )
    keep_value(made, width, position, model.half_cache, keys + region_bytes(model, work, span))


@part
def make_all_heads(model, work, layer, me, team):
    """Queries, keys and values of all rows."""
    scratch = work.own + me * work.own_row + work.scratch
    for span in range(work.plan[N_SPANS]):
        first = work.spans[span, FIRST]
        for row in range(first, first + work.spans[span, COUNT]):
            for head in range(model.n_kv_head):
                if (row * model.n_kv_head + head) % team == me:
                    out = queries_of(model, work, row, head)
                    make_queries(model, work, layer, row, head, scratch, out)
                    make_key_and_value(model, work, layer, span, row, head, scratch)


@part
def attend_chunk(model, work, layer, span, row, count, head, queries, chunk, scratch, out, stride):
    """`count` rows from `row` on, of one span, with one chunk of its past."""
    group = model.n_head // model.n_kv_head
    keys = keys_of(model, work, span, layer, head)
    values = keys + region_bytes(model, work, span)
    slopes = shifted(model.slopes, head * group)
    position, n = work.places[row], count * group
    arguments = (
        queries, n, group, position, chunk, keys, values, model.padded, slopes, scratch, out, stride
    )  # fmt: skip
    call(model.attend, arguments)


@inlined
def result_bytes(model):
    """Of one query's result for one chunk."""
    return FLOAT * (model.padded + LANES)


@inlined
def partials_of(model, work, row, head):
    """Address of the results of the first query that belongs to a row and a key/value head."""
    group = model.n_head // model.n_kv_head
    number = (head * work.plan[N_ROWS] + row) * group
    return work.plan[PARTIALS] + number * work.plan[N_CHUNKS] * result_bytes(model)


@part
def attend_in_chunks(model, work, layer, me, team):
    """Few rows: the partial results of all chunks, shared out chunk by chunk."""
    scratch = work.own + me * work.own_row + work.scratch
    stride, unit = work.plan[N_CHUNKS] * result_bytes(model), 0
    for span in range(work.plan[N_SPANS]):
        first, count = work.spans[span, FIRST], work.spans[span, COUNT]
        for chunk in range((work.spans[span, POSITION] + count - 1) // CHUNK + 1):
            for head in range(model.n_kv_head):
                if unit % team == me:
                    out = partials_of(model, work, first, head) + chunk * result_bytes(model)
                    queries = queries_of(model, work, first, head)
                    attend_chunk(
                        model, work, layer, span, first, count, head, queries, chunk, scratch, out,
                        stride,
                    )  # fmt: skip
                unit += 1


@part
def attend_alone(model, work, layer, me, team):
    """A single row: heads made and attention in one go, so that nobody waits between them.

    Whoever has the newest chunk of a key/value head makes its key and value; queries are made by
    each that needs them. The newest chunks are shared out first.
    """
    own = work.own + me * work.own_row
    scratch, queries = own + work.scratch, own + work.own_queries
    stride, newest = work.plan[N_CHUNKS] * result_bytes(model), work.places[0] // CHUNK
    row = span = np.int64(0)  # the only ones; plain zeros would have all these parts compiled anew
    for head in range(model.n_kv_head):
        partials = partials_of(model, work, row, head)
        begun = False
        for age in range(newest + 1):
            if (age * model.n_kv_head + head) % team == me:
                if not begun:
                    make_queries(model, work, layer, row, head, scratch, queries)
                    begun = True
                if age == 0:
                    make_key_and_value(model, work, layer, span, row, head, scratch)
                chunk = newest - age
                out = partials + chunk * result_bytes(model)
                attend_chunk(
                    model, work, layer, span, row, 1, head, queries, chunk, scratch, out, stride
                )


@part
def attend_in_rows(model, work, layer, me, team):
    """Many rows: some of them with their whole past, combined at once."""
    group = model.n_head // model.n_kv_head
    scratch = work.own + me * work.own_row + work.scratch
    partials = work.plan[PARTIALS] + me * work.plan[PARTIALS_OWN]
    stride, together = work.plan[N_CHUNKS] * result_bytes(model), max(1, QUERIES_AT_ONCE // group)
    unit = 0
    for span in range(work.plan[N_SPANS]):
        first, end = work.spans[span, FIRST], work.spans[span, FIRST] + work.spans[span, COUNT]
        for row in range(first, end, together):
            count = min(together, end - row)
            for head in range(model.n_kv_head):
                if unit % team == me:
                    for chunk in range((work.places[row] + count - 1) // CHUNK + 1):
                        out = partials + chunk * result_bytes(model)
                        queries = queries_of(model, work, row, head)
                        attend_chunk(
                            model, work, layer, span, row, count, head, queries, chunk, scratch,
                            out, stride,
                        )  # fmt: skip
                    for i in range(count):
                        out = work.input + (row + i) * work.input_row
                        source = partials + i * group * stride
                        gather_head(model, work, row + i, head, source, scratch, out)
                unit += 1


@part
def gather_head(model, work, row, head, partials, scratch, out):
    """Chunks to the output of the queries that share a head, at their place in a row."""
    group, n_chunks = model.n_head // model.n_kv_head, work.places[row] // CHUNK + 1
    stride = work.plan[N_CHUNKS] * result_bytes(model)
    for i in range(group):
        to = out + FLOAT * model.head_dim * (head * group + i)
        combine(partials + i * stride, n_chunks, model.head_dim, model.padded, scratch, to)


@part
def gather_rows(model, work, quantize, me, team):
    """Attention's output, row by row, made ready for the next product."""
    rows, columns = work.plan[N_ROWS], model.n_head * model.head_dim
    scratch = work.own + me * work.own_row + work.scratch
    x, records = inputs(work, me)
    if rows == 1:
        me, team = 0, 1
    for row in range(me, rows, team):
        out = x + row * work.input_row
        if rows <= SPLIT_ROWS:
            for head in range(model.n_kv_head):
                source = partials_of(model, work, row, head)
                gather_head(model, work, row, head, source, scratch, out)
        if quantize:
            quantize_row(out, columns, records + row * quantized_bytes(columns))
