"""A matrix of small integers with scales: what every quantized format is, once it is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError


@dataclass(frozen=True)
class QuantizedTensor:
    """w[n, k] = scale[n, k // group] * q[n, k] + offset[n, k // group] (Jacob et al. 2018, eq. 1).

    Rows are outputs, columns inputs. One scale for each channel is `group` = K; one for the whole
    tensor is the same scale in each row. An integer zero point z is the offset -scale * z.
    """

    q: NDArray[np.int8] | NDArray[np.uint8]  # (N, K), one a byte
    scale: NDArray[np.float32]  # (N, K / group)
    offset: NDArray[np.float32] | None  # (N, K / group); None: symmetric about 0
    bits: int  # 2 to 8: of each q as it is stored
    group: int  # columns that share a scale
    scheme: str  # for people: "Q4_1", "int4 symmetric, groups of 64"

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return self.q.shape[0], self.q.shape[1]

    @property
    def n_bytes(self) -> int:
        """What it takes on disk, with two bytes a scale and two an offset, if it has them."""
        each = 2 if self.offset is None else 4
        return (self.q.size * self.bits + 7) // 8 + self.scale.size * each

    def dequantize(self) -> NDArray[np.float32]:
        """The weights that it stands for, float32 (N, K)."""
        n, k = self.q.shape
        w = self.q.reshape(n, k // self.group, self.group).astype(np.float32)
        w *= self.scale[:, :, None]
        if self.offset is not None:
            w += self.offset[:, :, None]
        return w.reshape(n, k)

    def zero_points(self) -> NDArray[np.int32] | None:
        """The z of w = scale * (q - z), int32 (N, K / group); None: symmetric about 0.

        Raises:
            CheckpointError: an offset is no whole number of scales, as in GGUF's Q4_1 and Q4_K.
        """
        if self.offset is None:
            return None
        zero = np.rint(-self.offset.astype(np.float64) / self.scale)
        if not np.allclose(-self.scale * zero, self.offset, rtol=1e-6, atol=0):
            raise CheckpointError(
                f"{self.scheme} shifts its weights by any amount, not by a whole number of steps: "
                "it has no zero points. Quantize the dequantized weights anew."
            )
        return zero.astype(np.int32)
