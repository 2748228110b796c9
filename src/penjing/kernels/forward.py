"""A whole pass: token ids to logits, in one compiled function that all threads run."""

from penjing.compiling.functions import part
from penjing.kernels import atomic
from penjing.kernels.functions import FLOAT
from penjing.kernels.kept import recall
from penjing.kernels.mixing import (
    attend_alone,
    attend_in_chunks,
    attend_in_rows,
    gather_rows,
    make_all_heads,
)
from penjing.kernels.stages import (
    add_to_stream,
    embed,
    feed_forward,
    first_read,
    inputs,
    norm_row,
    norm_rows,
    product,
    project,
    quantized,
    quantized_bytes,
    share,
)
from penjing.kernels.summary import PART, combine_parts, summarize_parts
from penjing.kernels.tables import (
    DOWN,
    DOWN_BIAS,
    HEAD,
    NORM1,
    NORM1_BIAS,
    NORM2,
    NORM2_BIAS,
    OUTPUT,
    OUTPUT_BIAS,
    PER_LAYER,
    QUERY,
    UP,
)
from penjing.kernels.threads import SIZE, await_pass, barrier, barrier_before, open_pass
from penjing.kernels.work import LOGITS, N_LOGITS, N_ROWS, SPLIT_ROWS


@part
def attention_step(model, work, layer, words, me, team):
    """stream + attention(norm1(stream))."""
    first, vectors = PER_LAYER * layer, model.vectors[layer]
    rows = work.plan[N_ROWS]
    joint = (
        quantized(model, first + QUERY)
        or quantized(model, first + QUERY + 1)
        or quantized(model, first + QUERY + 2)
    )
    norm_rows(model, work, vectors[NORM1], vectors[NORM1_BIAS], joint, me, team)
    if rows > 1:
        barrier(words, team)
    project(model, work, layer, me, team)
    barrier_before(words, team, *first_read(model, first + OUTPUT, me, team))
    if rows == 1:
        attend_alone(model, work, layer, me, team)
    else:
        make_all_heads(model, work, layer, me, team)
        barrier(words, team)
        if rows <= SPLIT_ROWS:
            attend_in_chunks(model, work, layer, me, team)
        else:
            attend_in_rows(model, work, layer, me, team)
    barrier_before(words, team, *first_read(model, first + OUTPUT, me, team))
    gather_rows(model, work, quantized(model, first + OUTPUT), me, team)
    if rows > 1:
        barrier(words, team)
    x, records = inputs(work, me)
    bias, row = vectors[OUTPUT_BIAS], work.input_row
    add_to_stream(model, work, first + OUTPUT, bias, x, row, records, me, team)
    barrier_before(words, team, *first_read(model, first + UP, me, team))


@part
def feed_forward_step(model, work, layer, words, me, team):
    """stream + feed_forward(norm2(stream))."""
    first, vectors = PER_LAYER * layer, model.vectors[layer]
    joint = quantized(model, first + UP) or quantized(model, first + UP - 1)
    norm_rows(model, work, vectors[NORM2], vectors[NORM2_BIAS], joint, me, team)
    if work.plan[N_ROWS] > 1:
        barrier(words, team)
    feed_forward(model, work, layer, me, team)
    barrier_before(words, team, *first_read(model, first + DOWN, me, team))
    bias, row = vectors[DOWN_BIAS], work.inner_row
    add_to_stream(model, work, first + DOWN, bias, work.inner, row, work.inner_records, me, team)
    upcoming = HEAD if layer + 1 == model.n_layer else QUERY
    barrier_before(words, team, *first_read(model, first + PER_LAYER + upcoming, me, team))


@part
def head(model, work, words, me, team):
    """Logits of the chosen rows, and their summaries."""
    count, columns = work.plan[N_LOGITS], model.width
    if count == 0:
        return
    index, vectors = PER_LAYER * model.n_layer + HEAD, model.vectors[model.n_layer]
    quantize = quantized(model, index)
    for i in range(me, count, team):
        x, records = work.input + i * work.input_row, work.records + i * quantized_bytes(columns)
        weight, bias = vectors[NORM1], vectors[NORM1_BIAS]
        norm_row(model, work, work.chosen[i], weight, bias, quantize, x, records)
    barrier(words, team)
    begin, end = share(model.vocab_size, me, team, PART)
    out, row = work.plan[LOGITS], FLOAT * model.vocab_size
    product(model, index, work.input, work.input_row, work.records, count, out, row, begin, end)
    for i in range(count):
        parts = work.parts + i * work.parts_row
        summarize_parts(out + i * row, model.vocab_size, begin, end, parts)
    barrier(words, team)
    for i in range(me, count, team):
        parts, summary = work.parts + i * work.parts_row, work.summaries[i]
        combine_parts(out + i * row, model.vocab_size, parts, summary)


@part
def whole_pass(model, work, words, me, team):
    """A pass from embedding to logits: the part of thread `me`."""
    embed(model, work, me, team)
    barrier(words, team)
    for layer in range(model.n_layer):
        attention_step(model, work, layer, words, me, team)
        feed_forward_step(model, work, layer, words, me, team)
    head(model, work, words, me, team)
    barrier(words, team)


def run(kept, address, words, leads):
    """Open a pass and take part in it (`leads`), or take part in all that come until none does."""
    model, work = recall(kept, address)
    me = 0 if leads else await_pass(words)
    while leads or me != 0:
        team = open_pass(words) if leads else atomic.load(words + SIZE)
        whole_pass(model, work, words, me, team)
        if leads:
            return
        me = await_pass(words)
