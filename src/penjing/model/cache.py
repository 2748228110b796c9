"""The keys and values of the tokens seen so far, so that each new token costs one row of work."""

import torch
from torch import Tensor

from penjing.core.errors import GenerationError
from penjing.model.config import ModelConfig


class KVCache:
    """Keys and values by layer. The caller owns it; the model appends to it.

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
        self.config = config
        self.capacity = config.context_length if capacity is None else capacity
        self.length = 0  # positions filled
        shape = (batch_size, config.n_kv_head, self.capacity, config.head_dim)
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.n_layer)]
        self.values = [torch.empty_like(k) for k in self.keys]
        self.positions = torch.empty(self.capacity, dtype=torch.int64, device=device)

    def begin(self, positions: Tensor) -> Tensor:
        """Make room for tokens at `positions` (T,); the positions of all keys then, (length + T,).

        Raises:
            GenerationError: they do not fit.
        """
        end = self.length + len(positions)
        if end > self.capacity:
            raise GenerationError(
                f"The cache holds {self.capacity} positions: {self.length} are filled and "
                f"{len(positions)} more do not fit. Make a larger cache, or trim it."
            )
        self.positions[self.length : end] = positions
        return self.positions[:end]

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write (B, n_kv_head, T, head_dim) after what is there; all of it, as views.

        Raises:
            GenerationError: the cache was made for another batch size or precision.
        """
        mine = self.keys[layer]
        if (len(mine), mine.dtype) != (len(keys), keys.dtype):
            raise GenerationError(
                f"The cache was made for {len(mine)} rows of {mine.dtype}, but the model brings "
                f"{len(keys)} of {keys.dtype}. Make it with `model.new_cache(batch_size=...)`."
            )
        end = self.length + keys.size(2)
        self.keys[layer][:, :, self.length : end] = keys.detach()
        self.values[layer][:, :, self.length : end] = values.detach()
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def finish(self, n_tokens: int) -> None:
        """All layers have appended: the new tokens now belong to the past."""
        self.length += n_tokens

    def trim(self, length: int) -> None:
        """Forget everything from position `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"trim to {length}: the cache holds {self.length} positions")
        self.length = length

    def fork(self) -> "KVCache":
        """An independent copy with the same past, for another continuation."""
        twin = KVCache(
            self.config,
            batch_size=self.keys[0].size(0),
            capacity=self.capacity,
            dtype=self.keys[0].dtype,
            device=self.keys[0].device,
        )
        for mine, theirs in zip(self.keys + self.values, twin.keys + twin.values, strict=True):
            theirs[:, :, : self.length] = mine[:, :, : self.length]
        twin.positions[: self.length] = self.positions[: self.length]
        twin.length = self.length
        return twin
