"""A checkpoint as the kernels know a model: its stored weights, through the family's own rules.

Weights stay in the form in which they are stored: quantized, or floats in their own precision.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from penjing.core.errors import CheckpointError
from penjing.kernels.network import Floats, Layer, Linear, Matrix, Network, Norm, Rope
from penjing.model import rope
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import RECURRENT, ModelConfig
from penjing.model.forms import FORMS
from penjing.model.position_tables import alibi_slopes, sinusoids
from penjing.model.weights import Rule, Stored
from penjing.quantization.floats import all_finite, to_float32
from penjing.quantization.tensor import QuantizedTensor


def kernels_fit(config: ModelConfig) -> str | None:
    """Why the kernels cannot compute a model; None if they can."""
    if config.family in RECURRENT:
        return f"the kernels know Transformers, and this is of the family {config.family}"
    return None


def build_network(checkpoint: Checkpoint) -> Network:
    """What the kernels need of a checkpoint. Matrices are read when the kernels ask for them.

    Raises:
        CheckpointError: the weights are missing, damaged, or not finite.
    """
    return _Reader(checkpoint).network()


class _Reader:
    """Reads weights by our names for them, which the rules translate."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config, self.where = checkpoint.config, str(checkpoint.path)
        self.weights: Mapping[str, Stored] = checkpoint.weights()
        rules = FORMS[self.config.family].rules(self.config)
        self.rules = {rule.ours: rule for rule in rules}

    def network(self) -> Network:
        config = self.config
        head = None if config.tie_embeddings else partial(self._matrix, "unembedding.weight")
        turns = config.position == "rope"
        return Network(
            vocab_size=config.vocab_size,
            context_length=config.context_length,
            width=config.n_embd,
            n_head=config.n_head,
            n_kv_head=config.n_kv_head,
            head_dim=config.head_dim,
            n_inner=config.n_inner,
            norm_eps=config.norm_eps,
            activation="gelu" if config.family == "gpt2" else "silu",
            embedding=partial(self._matrix, "embedding.weight"),
            layers=[partial(self._layer, f"layers.{i}") for i in range(config.n_layer)],
            norm=self._norm("norm"),
            head=head,
            positions=self._positions(),
            rope=_rope(config) if turns else None,
            slopes=alibi_slopes(config.n_head) if config.position == "alibi" else None,
            half_cache=self._is_short("layers.0.attention.qkv.weight"),
        )

    def _layer(self, name: str) -> Layer:
        config = self.config
        q, kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
        query, key, value = self._linears(f"{name}.attention.qkv", (q, kv, kv))
        gate = None
        if config.family == "gpt2":
            (up,) = self._linears(f"{name}.feed_forward.up", (config.n_inner,))
        else:
            gate, up = self._linears(f"{name}.feed_forward.gate_up", (config.n_inner,) * 2)
        (output,) = self._linears(f"{name}.attention.output", (config.n_embd,))
        (down,) = self._linears(f"{name}.feed_forward.down", (config.n_embd,))
        return Layer(
            norm1=self._norm(f"{name}.norm1"),
            query=query,
            key=key,
            value=value,
            output=output,
            norm2=self._norm(f"{name}.norm2"),
            up=up,
            down=down,
            gate=gate,
            query_norm=self._optional_norm(f"{name}.attention.q_norm"),
            key_norm=self._optional_norm(f"{name}.attention.k_norm"),
        )

    def _linears(self, name: str, rows: Sequence[int]) -> list[Linear]:
        """A linear layer of ours as the parts that it joins, of so many rows each."""
        weights = self._parts(self.rules[f"{name}.weight"], rows)
        bias = self.rules.get(f"{name}.bias")
        biases = [None] * len(rows) if bias is None else self._parts(bias, rows)
        pairs = zip(weights, biases, strict=True)
        return [Linear(weight, None if b is None else _vector(b)) for weight, b in pairs]

    def _parts(self, rule: Rule, rows: Sequence[int]) -> list[Matrix]:
        """The stored tensors of a rule; one that holds several parts is cut."""
        stored = [self._read(name, rule) for name in rule.theirs]
        if len(stored) == len(rows):
            return stored
        (whole,), ends = stored, np.cumsum([0, *rows]).tolist()
        return [_cut(whole, begin, end) for begin, end in pairwise(ends)]

    def _matrix(self, name: str) -> Matrix:
        (name_there,) = self.rules[name].theirs
        return self._read(name_there, self.rules[name])

    def _read(self, name: str, rule: Rule) -> Matrix:
        """One stored tensor, (N, K) or (N,).

        Raises:
            CheckpointError: it holds what is no finite number.
        """
        stored = self.weights[name]
        if isinstance(stored, QuantizedTensor):
            factors = [stored.scale] if stored.offset is None else [stored.scale, stored.offset]
        else:
            factors = [stored]
        if not all(map(all_finite, factors)):
            raise CheckpointError(
                f"{self.where}: tensor {name} holds a NaN or an infinity: nothing that it computes "
                "would be a number. The file is damaged, or its training had failed; get it anew."
            )
        if isinstance(stored, QuantizedTensor):
            return stored
        array = stored.T if rule.transpose else stored
        return to_float32(array) if array.dtype == np.float64 else array

    def _norm(self, name: str) -> Norm:
        bias = self.rules.get(f"{name}.bias")
        return Norm(
            _vector(self._matrix(f"{name}.weight")),
            None if bias is None else _vector(self._matrix(f"{name}.bias")),
        )

    def _optional_norm(self, name: str) -> Norm | None:
        return self._norm(name) if f"{name}.weight" in self.rules else None

    def _positions(self) -> Floats | None:
        """The rows that are added to the embeddings, (context_length, C)."""
        config = self.config
        if config.position == "learned":
            stored = self.weights[self.rules["position.table.weight"].theirs[0]]
            if isinstance(stored, QuantizedTensor):
                return stored.dequantize()
            return to_float32(stored)
        if config.position == "sinusoidal":
            return sinusoids(config.context_length, config.n_embd)
        return None

    def _is_short(self, name: str) -> bool:
        """Whether a weight is stored in fewer bits than float32 has."""
        stored = self.weights[self.rules[name].theirs[0]]
        return isinstance(stored, QuantizedTensor) or stored.dtype.itemsize < 4


def _rope(config: ModelConfig) -> Rope:
    return Rope(rope.frequencies(config), float(rope.sharpness(config)))


def _vector(stored: Matrix) -> Floats:
    """Norms and biases are few: float32, whatever they are stored in."""
    if isinstance(stored, QuantizedTensor):
        return stored.dequantize().ravel()
    return to_float32(stored)


def _cut(stored: Matrix, begin: int, end: int) -> Matrix:
    """Some rows."""
    if not isinstance(stored, QuantizedTensor):
        return stored[begin:end]
    return QuantizedTensor(
        q=stored.q[begin:end],
        scale=stored.scale[begin:end],
        offset=None if stored.offset is None else stored.offset[begin:end],
        bits=stored.bits,
        group=stored.group,
        scheme=stored.scheme,
    )
