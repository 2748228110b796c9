"""A network as compiled functions read it: sizes, matrices, and addresses of vectors."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.kernels.attention import attention_address
from penjing.kernels.features import Isa
from penjing.kernels.layout import N_FIELDS
from penjing.kernels.matrix import PackedMatrix, pack
from penjing.kernels.network import Floats, Layer, Linear, Matrix, Network, Norm
from penjing.kernels.pages import Arena, aligned
from penjing.kernels.vector import LANES

# Rows of `Model.matrices`: these for each layer, then two for the model.
QUERY, KEY, VALUE, OUTPUT, GATE, UP, DOWN = range(7)
PER_LAYER = 7
EMBEDDING, HEAD = range(2)

# Columns of `Model.vectors`, a row for each layer: addresses, 0 where there is none.
# In the row after the last layer NORM1 and NORM1_BIAS are those of the final norm.
NORM1, NORM1_BIAS, NORM2, NORM2_BIAS, QUERY_NORM, KEY_NORM = range(6)
QUERY_BIAS, KEY_BIAS, VALUE_BIAS, OUTPUT_BIAS, GATE_BIAS, UP_BIAS, DOWN_BIAS = range(6, 13)
N_VECTORS = 13


class Model(NamedTuple):
    """Sizes in numbers unless said; a tuple, as compiled functions take it."""

    n_layer: int
    width: int  # C
    n_head: int  # H
    n_kv_head: int
    head_dim: int  # D
    padded: int  # W: D in whole vectors
    n_inner: int
    vocab_size: int  # V
    eps: float
    is_gelu: int  # else SiLU
    half_cache: int  # keys and values are float16, else float32
    attend: int  # address of the compiled attention
    positions: int  # address of rows added to the embeddings, each in whole vectors, or 0
    slopes: int  # address of ALiBi's slopes, or 0
    matrices: NDArray[np.int64]  # (PER_LAYER * n_layer + 2, fields of a matrix)
    vectors: NDArray[np.int64]  # (n_layer + 1, N_VECTORS)


@dataclass(frozen=True)
class Tables:
    """The tables, and what their addresses point into."""

    model: Model
    buffers: tuple[NDArray[np.generic], ...]
    n_bytes: int


class _Builder:
    def __init__(self, isa: Isa, arena: Arena) -> None:
        self.isa, self.arena = isa, arena
        self.buffers: list[NDArray[np.generic]] = []
        self.n_bytes = 0

    def matrix(self, weights: Matrix | None) -> NDArray[np.int64]:
        if weights is None:
            return np.zeros(N_FIELDS, np.int64)
        packed: PackedMatrix = pack(self.isa, weights, self.arena.take)
        self.buffers += packed.buffers
        self.n_bytes += packed.nbytes
        return packed.fields

    def take(self, other: "_Builder") -> None:
        """Keep what another one has made."""
        self.buffers += other.buffers
        self.n_bytes += other.n_bytes

    def vector(self, numbers: Floats | None) -> int:
        """The address of a copy with zeros behind it, so that whole vectors can be read."""
        if numbers is None:
            return 0
        copy = aligned(4 * (numbers.size + 2 * LANES)).view(np.float32)
        copy[: numbers.size] = numbers.ravel()
        self.buffers.append(copy)
        self.n_bytes += copy.nbytes
        return int(copy.ctypes.data)

    def rows(self, numbers: Floats | None) -> int:
        """The address of a copy, each row with zeros behind it, in whole vectors."""
        if numbers is None:
            return 0
        return self.vector(np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % LANES))))

    def norm(self, norm: Norm | None) -> tuple[int, int]:
        return (0, 0) if norm is None else (self.vector(norm.weight), self.vector(norm.bias))

    def layer(self, layer: Layer) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        linears: list[Linear | None] = [layer.query, layer.key, layer.value, layer.output]
        linears += [layer.gate, layer.up, layer.down]
        matrices = [self.matrix(None if linear is None else linear.weight) for linear in linears]
        biases = [self.vector(None if linear is None else linear.bias) for linear in linears]
        norms = [*self.norm(layer.norm1), *self.norm(layer.norm2)]
        norms += [self.norm(layer.query_norm)[0], self.norm(layer.key_norm)[0]]
        return matrices, np.array(norms + biases, np.int64)


_PackedLayer = tuple[list[NDArray[np.int64]], NDArray[np.int64], _Builder]


def _pack_layer(isa: Isa, arena: Arena, make_layer: Callable[[], Layer]) -> _PackedLayer:
    builder = _Builder(isa, arena)
    return *builder.layer(make_layer()), builder


def build(network: Network, isa: Isa, threads: int = 1) -> Tables:
    """Pack all weights of a network, tensor by tensor, in so many layers at a time.

    Raises:
        PenjingError: a matrix is of a kind that the kernels don't know.
    """
    arena = Arena()
    builder, table, head = (_Builder(isa, arena) for _ in range(3))
    matrices: list[NDArray[np.int64]] = []
    vectors = np.zeros((len(network.layers) + 1, N_VECTORS), np.int64)
    with ThreadPoolExecutor(threads) as pool:
        embedding = pool.submit(lambda: table.matrix(network.embedding()))
        layers = pool.map(lambda make_layer: _pack_layer(isa, arena, make_layer), network.layers)
        for row, (packed, addresses, own) in zip(vectors, layers, strict=False):
            matrices += packed
            row[:] = addresses
            builder.take(own)
        matrices.append(embedding.result())
    matrices.append(matrices[-1] if network.head is None else head.matrix(network.head()))
    builder.take(table)
    builder.take(head)
    vectors[-1, [NORM1, NORM1_BIAS]] = builder.norm(network.norm)
    model = Model(
        n_layer=len(network.layers),
        width=network.width,
        n_head=network.n_head,
        n_kv_head=network.n_kv_head,
        head_dim=network.head_dim,
        padded=-(-network.head_dim // LANES) * LANES,
        n_inner=network.n_inner,
        vocab_size=network.vocab_size,
        eps=network.norm_eps,
        is_gelu=int(network.activation == "gelu"),
        half_cache=int(network.half_cache),
        attend=attention_address(isa, network.half_cache),
        positions=builder.rows(network.positions),
        slopes=builder.vector(network.slopes),
        matrices=np.stack(matrices),
        vectors=vectors,
    )
    return Tables(model, tuple(builder.buffers), builder.n_bytes)
