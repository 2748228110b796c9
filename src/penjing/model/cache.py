"""What a model keeps of the tokens seen so far, so that each new token costs one row of work.

A Transformer keeps keys and values, a recurrent network its states. Both kinds of `Cache` grow, are
trimmed and are copied alike, so that generation need not know which it has.
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from penjing.core.errors import GenerationError
from penjing.model.config import ModelConfig


class Cache(ABC):
    """The past of one text, or of several of equal length. The caller owns it; the model appends.

    Made by `model.new_cache()`, which knows the kind that the model needs.
    """

    def __init__(self, config: ModelConfig, capacity: int | None) -> None:
        self.config = config
        self.capacity = config.context_length if capacity is None else capacity  # that fit
        self.length = 0  # positions filled

    @classmethod
    def expect(cls, cache: "Cache | None") -> Self | None:
        """The same cache, known to be of this kind.

        Raises:
            GenerationError: it is of another kind: it was made for another family of models.
        """
        if cache is None or isinstance(cache, cls):
            return cache
        raise GenerationError(
            f"This model keeps its past in a {cls.__name__}, but was given a "
            f"{type(cache).__name__}. Make it with `model.new_cache()` of the same model."
        )

    def make_room(self, n_tokens: int) -> int:
        """The length with `n_tokens` more.

        Raises:
            GenerationError: they do not fit.
        """
        end = self.length + n_tokens
        if end > self.capacity:
            raise GenerationError(
                f"The cache holds {self.capacity} positions: {self.length} are filled and "
                f"{n_tokens} more do not fit. Make a larger cache, or trim it."
            )
        return end

    def finish(self, n_tokens: int) -> None:
        """All layers have appended: the new tokens now belong to the past."""
        self.length += n_tokens

    def trim(self, length: int) -> None:
        """Forget everything from position `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"trim to {length}: the cache holds {self.length} positions")
        self.length = length

    def check_capacity(self, capacity: int) -> int:
        """`capacity`, if what is filled fits in it."""
        if capacity < self.length:
            raise ValueError(f"resize to {capacity}: {self.length} positions are filled")
        return capacity

    @abstractmethod
    def resize(self, capacity: int) -> None:
        """Make room for `capacity` positions, or give room back; not below the length.

        Done layer by layer, so that in between only one layer is there twice.
        """

    @abstractmethod
    def fork(self, length: int | None = None, capacity: int | None = None) -> Self:
        """An independent copy for another continuation: of the first `length` positions (all),
        with room for `capacity` (as many as this one)."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory of the whole capacity, in bytes."""


class KVCache(Cache):
    """Keys and values by layer, of a Transformer.

    One buffer of shape (B, n_kv_head, capacity, head_dim) for each layer's keys and each layer's
    values: written in place, never copied. Memory in bytes:
    2 * n_layer * B * n_kv_head * capacity * head_dim * bytes of the dtype.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        batch_size: int = 1,
        capacity: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, capacity)
        shape = (batch_size, config.n_kv_head, self.capacity, config.head_dim)
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.n_layer)]
        self.values = [torch.empty_like(k) for k in self.keys]
        self.positions = torch.empty(self.capacity, dtype=torch.int64, device=device)

    def begin(self, positions: Tensor) -> Tensor:
        """Make room for tokens at `positions` (T,); the positions of all keys then, (length + T,).

        Raises:
            GenerationError: they do not fit.
        """
        end = self.make_room(len(positions))
        self.positions[self.length : end] = positions
        return self.positions[:end]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write (B, n_kv_head, T, head_dim) after what is there; all of it, as views.

        Raises:
            GenerationError: the cache was made for another batch size or precision.
        """
        _check_made_for(self.keys[layer], keys)
        end = self.length + keys.size(2)
        self.keys[layer][:, :, self.length : end] = keys.detach()
        self.values[layer][:, :, self.length : end] = values.detach()
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def resize(self, capacity: int) -> None:
        self.capacity = self.check_capacity(capacity)
        for buffers in (self.keys, self.values):
            for layer, old in enumerate(buffers):
                buffers[layer] = _resized(old, 2, capacity, self.length)
        self.positions = _resized(self.positions, 0, capacity, self.length)

    def fork(self, length: int | None = None, capacity: int | None = None) -> Self:
        length = self.length if length is None else length
        twin = type(self)(
            self.config,
            batch_size=self.keys[0].size(0),
            capacity=self.capacity if capacity is None else capacity,
            dtype=self.keys[0].dtype,
            device=self.keys[0].device,
        )
        for mine, theirs in zip(self.keys + self.values, twin.keys + twin.values, strict=True):
            theirs[:, :, :length] = mine[:, :, :length]
        twin.positions[:length] = self.positions[:length]
        twin.length = length
        return twin

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.keys, *self.values, self.positions))


class StateCache(Cache):
    """The states of a recurrent network after each token, by layer.

    To go on, it needs only the last state, which is why such a network generates in a memory that
    does not grow. All are kept so that the past can be trimmed. One buffer of shape
    (B, capacity, n_states, n_embd) a layer: an RNN has one state, an LSTM has two.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        n_states: int,
        batch_size: int = 1,
        capacity: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(config, capacity)
        shape = (batch_size, self.capacity, n_states, config.n_embd)
        self.states = [
            torch.empty(shape, dtype=dtype, device=device) for _ in range(config.n_layer)
        ]

    def last(self, layer: int, x: Tensor) -> Tensor:
        """The states (B, n_states, C) after the last token, zeros before the first, for a layer
        that goes on with x (B, T, C).

        Raises:
            GenerationError: the cache was made for another batch size or precision.
        """
        mine = self.states[layer]
        _check_made_for(mine, x)
        if not self.length:
            return mine.new_zeros(len(mine), *mine.shape[2:])
        return mine[:, self.length - 1]

    def append(self, layer: int, states: Tensor) -> None:
        """Write the states (B, T, n_states, C) after what is there."""
        self.states[layer][:, self.length : self.length + states.size(1)] = states.detach()

    def resize(self, capacity: int) -> None:
        self.capacity = self.check_capacity(capacity)
        for layer, old in enumerate(self.states):
            self.states[layer] = _resized(old, 1, capacity, self.length)

    def fork(self, length: int | None = None, capacity: int | None = None) -> Self:
        length = self.length if length is None else length
        twin = type(self)(
            self.config,
            n_states=self.states[0].size(2),
            batch_size=self.states[0].size(0),
            capacity=self.capacity if capacity is None else capacity,
            dtype=self.states[0].dtype,
            device=self.states[0].device,
        )
        for mine, theirs in zip(self.states, twin.states, strict=True):
            theirs[:, :length] = mine[:, :length]
        twin.length = length
        return twin

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.states)


def _resized(old: Tensor, dim: int, capacity: int, length: int) -> Tensor:
    """A buffer with `capacity` places in `dim`, of which the first `length` are as in `old`."""
    shape = [*old.shape]
    shape[dim] = capacity
    new = old.new_empty(shape)
    new.narrow(dim, 0, length).copy_(old.narrow(dim, 0, length))
    return new


def _check_made_for(mine: Tensor, brought: Tensor) -> None:
    if (len(mine), mine.dtype) != (len(brought), brought.dtype):
        raise GenerationError(
            f"The cache was made for {len(mine)} rows of {mine.dtype}, but the model brings "
            f"{len(brought)} of {brought.dtype}. Make it with `model.new_cache(batch_size=...)`."
        )
