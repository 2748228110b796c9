"""Whether the kernels compute what they should here: products and a pass, held against NumPy."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import cache_folder, entry
from penjing.compiling.sources import fingerprint
from penjing.kernels.activations import GROUP, quantize_rows, row_bytes
from penjing.kernels.features import Isa, processor
from penjing.kernels.matmul import multiply
from penjing.kernels.matrix import PackedMatrix, n_blocks, pack
from penjing.kernels.network import Layer, Linear, Network, Norm, Rope
from penjing.kernels.pages import aligned
from penjing.kernels.program import Program
from penjing.quantization.tensor import QuantizedTensor

Floats = NDArray[np.float32]

_EPS = 2.0**-24  # half a unit in the last place of 1, in float32
_EPSILON = 1e-5  # of the norms
_ROWS, _OUTPUTS, _COLUMNS = 5, 35, 96  # neither rows nor outputs fill their last tile


@entry
def _multiply(_isa, fields, x, records, out, first, last):
    rows, columns = x.shape
    quantize_rows(x.ctypes.data, x.strides[0], rows, columns, records.ctypes.data)
    to, stride = out.ctypes.data, out.strides[0]
    source = records.ctypes.data
    multiply(fields, x.ctypes.data, x.strides[0], source, rows, to, stride, first, last)


def passed_mark(isa: Isa) -> Path | None:
    """The file that says that this test was passed, with the code of the same sources, compiled by
    the same compiler for the same processor; None where compiled code is not kept."""
    folder = cache_folder(_multiply)
    sources = fingerprint(__file__)[:16]
    return folder and folder / f"selftest-{isa.way}-{sources}-{processor()}.passed"


def product(isa: Isa, x: Floats, matrix: PackedMatrix, splits: tuple[int, ...] = ()) -> Floats:
    """x (M, K) times a packed matrix (N, K), transposed: (M, N), blocks cut at `splits`."""
    rows, outputs = x.shape[0], matrix.shape[0]
    out = np.full((rows, outputs), np.nan, np.float32)
    records = aligned(rows * row_bytes(x.shape[1]))
    edges = (0, *splits, n_blocks(outputs))
    for first, last in pairwise(edges):
        _multiply(isa, matrix.fields, x, records, out, first, last)
    return out


def quantized(x: Floats) -> NDArray[np.float64]:
    """What the integer products take x (M, K) for: multiples of max |x| / 127 in groups of 32."""
    rows, columns = x.shape
    groups = np.pad(x, ((0, 0), (0, -columns % GROUP))).reshape(rows, -1, GROUP)
    scale = np.abs(groups).max(-1, keepdims=True) / np.float32(127)
    inverse = np.float32(1) / np.where(scale > 0, scale, np.float32(1))
    whole = np.rint(groups * inverse).astype(np.float64) * scale
    columns_kept: NDArray[np.float64] = whole.reshape(rows, -1)[:, :columns]
    return columns_kept


@dataclass(frozen=True)
class Expected:
    """A product in float64, and how far float32 may be from it."""

    values: NDArray[np.float64]  # (M, N)
    bounds: NDArray[np.float64]  # (M, N)


def expected(x: Floats, weights: QuantizedTensor | Floats) -> Expected:
    """The product that the kernels should give.

    Each of K terms is rounded a few times and then added up in a chain of at most 2K sums; so the
    error is below (2K + 8) * 2**-24 times the sum of all magnitudes (Higham 2002, section 3.1).
    """
    if isinstance(weights, QuantizedTensor):
        x64, group = quantized(x), weights.group
        scale = np.repeat(weights.scale.astype(np.float64), group, axis=1)
        scaled = weights.q * scale
        offset = np.zeros_like(scaled)
        if weights.offset is not None:
            offset = np.repeat(weights.offset.astype(np.float64), group, axis=1)
        values, sizes = scaled + offset, np.abs(scaled) + np.abs(offset)
    else:
        x64, values = x.astype(np.float64), weights.astype(np.float64)
        sizes = np.abs(values)
    bounds = (2 * x.shape[1] + 8) * _EPS * (np.abs(x64) @ sizes.T)
    return Expected(x64 @ values.T, bounds)


def _weights() -> dict[str, QuantizedTensor | Floats]:
    """One matrix for each kind of product that differs between instruction sets, and floats."""
    rng = np.random.default_rng(0)
    shape, groups = (_OUTPUTS, _COLUMNS), (_OUTPUTS, _COLUMNS // GROUP)
    scale = rng.uniform(0.5, 1.5, groups).astype(np.float32)
    offset = rng.uniform(-1.0, 1.0, groups).astype(np.float32)
    small = rng.integers(0, 16, shape).astype(np.uint8)
    large = rng.integers(-127, 128, shape).astype(np.int8)
    small[0], large[0] = 15, 127  # the largest sums that there can be
    return {
        "4-bit weights": QuantizedTensor(small, scale, offset, 4, GROUP, "int4"),
        "8-bit weights": QuantizedTensor(large, scale[:, :1], None, 8, _COLUMNS, "int8"),
        "float32 weights": rng.standard_normal(shape).astype(np.float32),
    }


def failure(isa: Isa) -> str | None:
    """What the kernels get wrong with this instruction set, or None: nothing."""
    x = np.random.default_rng(1).standard_normal((_ROWS, _COLUMNS)).astype(np.float32)
    x[0] = 1.0
    for name, weights in _weights().items():
        packed, right = pack(isa, weights), expected(x, weights)
        together = product(isa, x, packed)
        if not np.all(np.abs(together - right.values) <= right.bounds):
            return f"{name} gave a product that differs from NumPy's"
        alone = np.concatenate([product(isa, row, packed, (1,)) for row in x[:, None]])
        if not np.array_equal(alone, together):
            return f"{name} gave other bits for single rows than for several together"
    return _failure_of_pass(isa)


def _network() -> tuple[Network, Layer, Floats]:
    """One layer of the Llama family, two heads that share keys and values; and its embeddings."""
    rng, width, head = np.random.default_rng(2), 32, 16

    def floats(*shape: int) -> Floats:
        return rng.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(shape[-1]))

    layer = Layer(
        norm1=Norm(1 + floats(width)),
        query=Linear(floats(2 * head, width)),
        key=Linear(floats(head, width)),
        value=Linear(floats(head, width)),
        output=Linear(floats(width, 2 * head)),
        norm2=Norm(1 + floats(width)),
        up=Linear(floats(40, width)),
        down=Linear(floats(width, 40)),
        gate=Linear(floats(40, width)),
    )
    embedding = floats(_OUTPUTS, width)
    network = Network(
        vocab_size=_OUTPUTS,
        context_length=64,
        width=width,
        n_head=2,
        n_kv_head=1,
        head_dim=head,
        n_inner=40,
        norm_eps=_EPSILON,
        activation="silu",
        embedding=lambda: embedding,
        layers=[lambda: layer],
        norm=Norm(np.ones(width, np.float32)),
        rope=Rope((1e4 ** -(np.arange(0, head, 2) / head)).astype(np.float32)),
    )
    return network, layer, embedding


def _logits(layer: Layer, embedding: Floats, rope: Rope, ids: list[int]) -> NDArray[np.float64]:
    """What `_network` should give, (T, V)."""
    angles = np.arange(len(ids))[:, None, None] * rope.frequencies.astype(np.float64)
    seen = np.tri(len(ids), dtype=bool)

    def normed(x: NDArray[np.float64], norm: Norm | None = None) -> NDArray[np.float64]:
        scaled: NDArray[np.float64] = x / np.sqrt((x * x).mean(-1, keepdims=True) + _EPSILON)
        return scaled if norm is None else scaled * norm.weight

    def turned(x: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = np.split(x.reshape(len(ids), -1, 2 * rope.frequencies.size), 2, axis=-1)
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def times(x: NDArray[np.float64], linear: Linear | None) -> NDArray[np.float64]:
        assert linear is not None and isinstance(linear.weight, np.ndarray)
        product: NDArray[np.float64] = x @ linear.weight.T.astype(np.float64)
        return product

    x = embedding[ids].astype(np.float64)
    n = normed(x, layer.norm1)
    query, key = turned(times(n, layer.query)), turned(times(n, layer.key))[:, 0]
    scores = np.where(seen, np.einsum("thd,sd->hts", query, key) / 4, -np.inf)  # 4: sqrt of D
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("hts,sd->thd", weights, times(n, layer.value)).reshape(len(ids), -1)
    x = x + times(mixed, layer.output)
    n = normed(x, layer.norm2)
    gate, up = times(n, layer.gate), times(n, layer.up)
    x = x + times(gate / (1 + np.exp(-gate)) * up, layer.down)
    return times(normed(x), Linear(embedding))


def _failure_of_pass(isa: Isa) -> str | None:
    """The same of a whole pass: embedding, norms, rotation, attention, activation, head."""
    network, layer, embedding = _network()
    assert network.rope is not None
    program, ids = Program(network, isa=isa), list(range(20))
    right = _logits(layer, embedding, network.rope, ids)
    together = program.forward([(program.new_cache(), ids, len(ids))])[0].logits
    if not np.abs(together - right).max() <= 0.002 * np.abs(right).max():  # the past is float16
        return "a whole pass gave other logits than NumPy's"
    past = program.new_cache()
    alone = np.concatenate([program.forward([(past, [id], 1)])[0].logits for id in ids])
    if not np.array_equal(alone, together):
        return "a whole pass gave other bits for single tokens than for several together"
    return None
