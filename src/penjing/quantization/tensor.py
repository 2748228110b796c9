"""A matrix of small integers with scales: what every quantized format is, once it is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    def dequantize(self) -> NDArray[np.float32]:
        """The weights that it stands for, float32 (N, K)."""
        n, k = self.q.shape
        w = self.q.reshape(n, k // self.group, self.group).astype(np.float32)
        w *= self.scale[:, :, None]
        if self.offset is not None:
            w += self.offset[:, :, None]
        return w.reshape(n, k)
