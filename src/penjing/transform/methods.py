"""The methods: how the integers of a layer's matrices are found. One function each, and a table."""

from collections.abc import Callable, Sequence

import torch

from penjing.quantization.tensor import QuantizedTensor
from penjing.transform.awq import clip, search_scale
from penjing.transform.calibration import Walk
from penjing.transform.config import METHODS
from penjing.transform.gptq import factorize, gptq
from penjing.transform.hessian import Inputs, relative_error
from penjing.transform.job import Job
from penjing.transform.matrices import HEAD, TABLE, Matrix, fold_of, weight_of

Layer = Callable[[Job, Walk, Sequence[Matrix]], None]


def nearest(job: Job, matrix: Matrix) -> None:
    """Each weight to the nearest number that its scale allows."""
    rounder = job.rounders[matrix.name]
    parts: list[QuantizedTensor] = []
    for name, weight in zip(matrix.theirs, job.parts(matrix), strict=True):
        parts.append(rounder.quantize(weight, *rounder.fit(weight, name)))
    job.put(matrix, parts)


def gptq_layer(job: Job, walk: Walk, matrices: Sequence[Matrix]) -> None:
    """One matrix after another, each on what the matrices quantized before it give it."""
    for matrix in matrices:
        inputs = _inputs(walk, [matrix.name])[matrix.name]
        factor = factorize(inputs.hessian, damping=job.damping, by_size=job.by_size)
        rounder = job.rounders[matrix.name]
        _put(job, matrix, inputs, [gptq(w, factor, rounder) for w in job.parts(matrix)])


def awq_layer(job: Job, walk: Walk, matrices: Sequence[Matrix]) -> None:
    """Scales of input channels searched and folded, the last matrix first; then clipped ranges.

    The last first, since a division of the values' channels changes the rows of qkv.
    """
    inputs = _inputs(walk, [matrix.name for matrix in matrices])
    for matrix in reversed(matrices):
        fold = fold_of(matrix, job.model)
        if fold is None or (fold.rows is not None and fold.into not in job.rounders):
            continue  # what is kept stays as it is
        rounder = job.rounders[matrix.name]
        parts = [(part, rounder) for part in job.parts(matrix)]
        scale = search_scale(parts, inputs[matrix.name], fold.rows)
        scale = fold.apply(job.model, scale, job.dtype)
        weight_of(job.model, matrix.name).data *= scale
        inputs[matrix.name] = inputs[matrix.name].scaled(scale)
    for matrix in matrices:
        seen, rounder = inputs[matrix.name], job.rounders[matrix.name]
        _put(job, matrix, seen, [clip(w, seen.hessian, rounder) for w in job.parts(matrix)])


def _inputs(walk: Walk, names: Sequence[str]) -> dict[str, Inputs]:
    return {HEAD: walk.head_inputs()} if list(names) == [HEAD] else walk.inputs(names)


def _put(job: Job, matrix: Matrix, inputs: Inputs, parts: Sequence[QuantizedTensor]) -> None:
    """Store, and note the error of the outputs on the calibration text."""
    before = weight_of(job.model, matrix.name).detach().clone()
    job.put(matrix, parts)
    after = weight_of(job.model, matrix.name).detach()
    job.errors[matrix.name] = relative_error(after, before, inputs.hessian)


# Methods that look at a text; the others are `nearest`, with the scheme's own ranges.
LAYERS: dict[str, Layer] = {"gptq": gptq_layer, "awq": awq_layer}


def run(job: Job, method: str, matrices: Sequence[Matrix], tick: Callable[[float], None]) -> None:
    """Quantize all that have a rounder; `tick` is told the share done.

    The table of embeddings first, each row to its nearest: what comes after is given its rows.
    Then layer by layer, and the head.
    """
    mine = [matrix for matrix in matrices if matrix.name in job.rounders]
    by_text = METHODS[method].needs_text
    for matrix in mine:
        if matrix.name == TABLE or not by_text:
            nearest(job, matrix)
    if by_text:
        _walk(job, LAYERS[method], [matrix for matrix in mine if matrix.name != TABLE], tick)
    tick(1.0)


def _walk(
    job: Job, method: Layer, matrices: Sequence[Matrix], tick: Callable[[float], None]
) -> None:
    layers = job.model.config.n_layer
    with torch.no_grad():
        walk = job.walk()
        for layer in range(layers):
            if mine := [matrix for matrix in matrices if matrix.layer == layer]:
                method(job, walk, mine)
            walk.step()
            tick((layer + 1) / (layers + 1))
        if head := [matrix for matrix in matrices if matrix.layer is None]:
            method(job, walk, head)
