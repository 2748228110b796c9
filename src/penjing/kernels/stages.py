"""The stages of a pass. Each thread does its share of each stage: number `me` of `team`.

Between two stages that hand data from one thread to another lies a barrier (forward.py). A single
row is normed and quantized by every thread for itself: that is cheaper than to wait for another.

Outputs of a product, and with them all that is done to each by itself, are shared out in groups of
32 columns: two blocks of a matrix, one group of quantized activations.
"""

from penjing.compiling.functions import inlined, part
from penjing.kernels.activations import GROUP, RECORD, quantize_row
from penjing.kernels.functions import FLOAT, gelu, norm, silu
from penjing.kernels.layout import BLOCK, FLOAT32, KIND, ROWS, VALUES
from penjing.kernels.matmul import multiply
from penjing.kernels.memory import load, store
from penjing.kernels.rows import read_row
from penjing.kernels.tables import (
    DOWN,
    GATE,
    GATE_BIAS,
    PER_LAYER,
    QUERY,
    UP,
    UP_BIAS,
    VALUE,
)
from penjing.kernels.tiles import ONE, n_blocks
from penjing.kernels.vector import LANES
from penjing.kernels.work import N_ROWS

AHEAD = 1 << 15  # bytes that are fetched while a thread waits for the others


@inlined
def quantized(model, index):
    """Whether a matrix is multiplied with quantized rows."""
    return model.matrices[index, KIND] < FLOAT32


@inlined
def quantized_bytes(columns):
    """Bytes of a quantized row."""
    return (columns + GROUP - 1) // GROUP * RECORD


@inlined
def share(count, me, team, size=GROUP):
    """The columns of `count` that are this thread's, in whole groups: from, to."""
    groups = (count + size - 1) // size
    return groups * me // team * size, min(count, groups * (me + 1) // team * size)


@inlined
def inputs(work, me):
    """Where the rows that a product reads lie: (floats, quantized). A single row is one's own."""
    if work.plan[N_ROWS] == 1:
        own = work.own + me * work.own_row
        return own, own + work.input_row
    return work.input, work.records


@inlined
def first_read(model, index, me, team):
    """What a product reads first: an address, how far from it the other place lies, bytes of each.

    Matrix number `index` times a single row, in this thread.
    """
    matrix = model.matrices[index]
    begin, end = share(matrix[ROWS], me, team)
    first, last = begin // LANES, (end + LANES - 1) // LANES
    apart = (last - first) // n_blocks(ONE) * matrix[BLOCK]
    return matrix[VALUES] + first * matrix[BLOCK], apart, min(apart, AHEAD)


@part
def product(model, index, x, x_row, records, rows, out, out_row, begin, end):
    """Columns [begin, end) of rows times matrix number `index`."""
    first, last = begin // LANES, (end + LANES - 1) // LANES
    matrix = model.matrices[index]
    multiply(matrix, x, x_row, records, rows, out, out_row, first, last)


@inlined
def padded_bytes(width):
    """Bytes of a row of floats in whole vectors."""
    return (width + LANES - 1) // LANES * LANES * FLOAT


@part
def embed(model, work, me, team):
    """Token ids to the residual stream: rows of the embedding table, and of the positions."""
    table = model.matrices[PER_LAYER * model.n_layer]
    for row in range(me, work.plan[N_ROWS], team):
        stream = work.stream + row * work.stream_row
        read_row(table, work.ids[row], stream)
        if model.positions != 0:
            add = model.positions + padded_bytes(model.width) * work.places[row]
            for i in range(0, FLOAT * model.width, FLOAT * LANES):
                store(stream + i, load(stream + i) + load(add + i))


@part
def norm_row(model, work, row, weight, bias, quantize, x, records):
    """One row of the stream, normed and, if asked, quantized."""
    norm(work.stream + row * work.stream_row, weight, bias, model.width, model.eps, x)
    if quantize:
        quantize_row(x, model.width, records)


@part
def norm_rows(model, work, weight, bias, quantize, me, team):
    """All rows of the stream, normed and, if asked, quantized, for the next product."""
    rows = work.plan[N_ROWS]
    x, records = inputs(work, me)
    if rows == 1:
        me, team = 0, 1
    for row in range(me, rows, team):
        to, to_records = x + row * work.input_row, records + row * quantized_bytes(model.width)
        norm_row(model, work, row, weight, bias, quantize, to, to_records)


@part
def project(model, work, layer, me, team):
    """Normed rows to queries, keys and values, before bias, norm and rotation."""
    x, records = inputs(work, me)
    out = work.projected
    for which in range(QUERY, VALUE + 1):
        index = PER_LAYER * layer + which
        count = model.matrices[index, ROWS]
        begin, end = share(count, me, team)
        rows, row = work.plan[N_ROWS], work.projected_row
        product(model, index, x, work.input_row, records, rows, out, row, begin, end)
        out += work.query_bytes if which == QUERY else work.key_bytes


@inlined
def activate(model, work, layer, begin, end):
    """silu(gate) * up, or gelu(up), of the columns [begin, end)."""
    up_bias, gate_bias = model.vectors[layer, UP_BIAS], model.vectors[layer, GATE_BIAS]
    gated = model.matrices[PER_LAYER * layer + GATE, ROWS] > 0
    for row in range(work.plan[N_ROWS]):
        inner, gate = work.inner + row * work.inner_row, work.gate + row * work.inner_row
        for i in range(FLOAT * begin, FLOAT * end, FLOAT * LANES):
            up = load(inner + i)
            if up_bias != 0:
                up = up + load(up_bias + i)
            opens = up
            if gated:
                opens = load(gate + i)
                if gate_bias != 0:
                    opens = opens + load(gate_bias + i)
            opened = gelu(opens) if model.is_gelu != 0 else silu(opens)
            store(inner + i, opened * up if gated else opened)


@part
def feed_forward(model, work, layer, me, team):
    """Normed rows to the inner layer, activated and quantized for the way down."""
    first, rows = PER_LAYER * layer, work.plan[N_ROWS]
    x, records = inputs(work, me)
    begin, end = share(model.n_inner, me, team)
    row = work.inner_row
    product(model, first + UP, x, work.input_row, records, rows, work.inner, row, begin, end)
    if model.matrices[first + GATE, ROWS] > 0:
        product(model, first + GATE, x, work.input_row, records, rows, work.gate, row, begin, end)
    activate(model, work, layer, begin, end)
    if quantized(model, first + DOWN):
        to = work.inner_records + begin // GROUP * RECORD
        for i in range(rows):
            source = work.inner + i * row + FLOAT * begin
            quantize_row(source, end - begin, to + i * quantized_bytes(model.n_inner))


@part
def add_to_stream(model, work, index, bias, x, x_row, records, me, team):
    """The residual step: stream + matrix times rows + bias."""
    begin, end = share(model.width, me, team)
    rows = work.plan[N_ROWS]
    product(model, index, x, x_row, records, rows, work.change, work.change_row, begin, end)
    for row in range(rows):
        stream, change = work.stream + row * work.stream_row, work.change + row * work.change_row
        for i in range(FLOAT * begin, FLOAT * end, FLOAT * LANES):
            total = load(stream + i) + load(change + i)
            if bias != 0:
                total = total + load(bias + i)
            store(stream + i, total)
