"""A scheme at work on torch's tensors: where the scales come from, and rounding with given ones."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from penjing.core.errors import ConfigError
from penjing.quantization.floats import LARGEST, FloatName
from penjing.quantization.packing import words_for
from penjing.quantization.rounding import Grid, build, fit
from penjing.quantization.scheme import Scheme
from penjing.quantization.tensor import QuantizedTensor

SHAPE_BITS = 128  # the two numbers of a packed matrix's shape


@dataclass(frozen=True)
class Rounder:
    """Rounds the matrices of one scheme; scales are of the type that they will be stored in."""

    scheme: Scheme
    scale_dtype: FloatName = "float32"
    gguf: bool = False  # stored in blocks of 32, each with a scale and perhaps an offset in float16

    def group(self, columns: int) -> int:
        """Columns that share a scale."""
        return self.scheme.group_for(columns)

    def fit(self, weight: Tensor, name: str = "tensor") -> tuple[Tensor, Tensor]:
        """Scales and zero points (N, G) for a weight (N, K): 0 where the scheme is symmetric.

        Raises:
            CheckpointError: it holds a NaN or an infinity.
            ConfigError: a scale or an offset is beyond what the file can hold.
        """
        w = weight.detach().float().contiguous().numpy()
        grid = fit(w, self.scheme, name=name, scale_dtype=self.scale_dtype)
        scale = torch.from_numpy(grid.scale.copy())
        if grid.zero is None:
            return scale, torch.zeros_like(scale)
        zero = torch.from_numpy(grid.zero).float()
        if self.gguf and float((scale * zero).max()) > LARGEST["float16"]:
            raise ConfigError(
                f"{name} has weights down to {float(w.min()):.3g}, and GGUF's offsets are float16. "
                "Write compressed-tensors, or take a symmetric scheme."
            )
        return scale, zero

    def codes(self, weight: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """The nearest integers, as floats; all shapes broadcast."""
        low, high = self.scheme.levels
        return ((weight / scale).round_() + zero).clamp_(low, high)

    def values(self, codes: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """What the codes stand for, to the bit what readers make of the file; shapes broadcast."""
        offset = scale * zero
        return codes * scale - (offset.half().float() if self.gguf else offset)

    def rounded(self, weight: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """The nearest numbers that the scales allow, for a weight (N, K) and scales (N, G)."""
        codes = self._grouped_codes(weight, scale, zero)
        return self.values(codes, scale[..., None], zero[..., None]).view_as(weight)

    def nearest(self, weight: Tensor) -> Tensor:
        """Rounded to nearest with the scheme's own scales: (N, K)."""
        return self.rounded(weight, *self.fit(weight))

    def quantize(self, weight: Tensor, scale: Tensor, zero: Tensor) -> QuantizedTensor:
        """The same as they are stored."""
        codes = self._grouped_codes(weight, scale, zero)
        return self.tensor(codes.view_as(weight), scale, zero)

    def _grouped_codes(self, weight: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """(N, G, K / G)."""
        grouped = weight.view(len(weight), scale.size(1), -1)
        return self.codes(grouped, scale[..., None], zero[..., None])

    def tensor(self, codes: Tensor, scale: Tensor, zero: Tensor) -> QuantizedTensor:
        """Codes (N, K) with scales and zero points (N, G), as they are stored."""
        low, _ = self.scheme.levels
        q = codes.numpy().astype(np.int8 if low < 0 else np.uint8)
        whole = None if self.scheme.symmetric else zero.numpy().astype(np.int32)
        built = build(q, Grid(scale.numpy(), whole), self.scheme)
        if not self.gguf or built.offset is None:
            return built
        return replace(built, offset=built.offset.astype(np.float16).astype(np.float32))

    def stored_bits(self, rows: int, columns: int) -> int:
        """What a matrix takes on disk, with all that belongs to it (model/compressed_saving.py)."""
        bits, symmetric = self.scheme.bits, self.scheme.symmetric
        if self.gguf:
            return rows * columns * bits + rows * columns // 32 * (16 if symmetric else 32)
        groups = columns // self.group(columns)
        scales = rows * groups * (32 if self.scale_dtype == "float32" else 16)
        if self.scheme.activations:  # a level a byte
            return rows * columns * 8 + scales
        zeros = 0 if symmetric else groups * 32 * words_for(rows, bits)
        return rows * 32 * words_for(columns, bits) + SHAPE_BITS + scales + zeros
