"""What the methods work on: a model whose matrices become quantized one after another."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from penjing.core.errors import CheckpointError
from penjing.model.activations import rounded_inputs
from penjing.model.base import LanguageModel
from penjing.model.weights import Stored
from penjing.quantization.floats import all_finite, to_float32
from penjing.quantization.scheme import Scheme
from penjing.quantization.tensor import QuantizedTensor
from penjing.transform.calibration import Walk
from penjing.transform.matrices import Matrix, weight_of
from penjing.transform.rounder import Rounder


@dataclass
class Job:
    """The model (float32; changed as the work goes on), and what has been quantized so far."""

    model: LanguageModel
    rounders: Mapping[str, Rounder]  # by our name of the matrix; what is not in it is kept
    windows: Tensor | None  # (S, T) ids of the calibration text, for methods that need one
    dtype: torch.dtype = torch.float32  # of what is kept, when it is stored
    damping: float = 0.01  # GPTQ: of the Hessian's mean diagonal
    by_size: bool = True  # GPTQ: columns with the largest inputs first
    tensors: dict[str, QuantizedTensor] = field(default_factory=dict)  # by Hugging Face's names
    schemes: dict[str, Scheme] = field(default_factory=dict)  # the same names
    errors: dict[str, float] = field(default_factory=dict)  # by our names: relative, of outputs
    _done: set[int] = field(default_factory=set)  # parameters that are quantized

    def parts(self, matrix: Matrix) -> list[Tensor]:
        """Its weights (N, K) as they are now, a tensor on disk each."""
        return matrix.split(weight_of(self.model, matrix.name).detach())

    def put(self, matrix: Matrix, parts: Sequence[QuantizedTensor]) -> None:
        """A matrix is done: the model computes with its quantized weights from here on."""
        weight = weight_of(self.model, matrix.name)
        for name, rows, part in zip(matrix.theirs, matrix.split(weight.data), parts, strict=True):
            rows.copy_(torch.from_numpy(part.dequantize()))
            self.tensors[name] = part
            self.schemes[name] = self.rounders[matrix.name].scheme
        self._done.add(id(weight))

    def round_kept(self) -> None:
        """What is not quantized, as it will be stored."""
        for parameter in self.model.parameters():
            if self.dtype != torch.float32 and id(parameter) not in self._done:
                parameter.data = parameter.data.to(self.dtype).float()

    def around(self) -> AbstractContextManager[None]:
        """What forward passes run in: inputs are rounded where a scheme says so."""
        names = [n for n, r in self.rounders.items() if r.scheme.activations and n != "embedding"]
        return rounded_inputs(self.model, names)

    def walk(self) -> Walk:
        assert self.windows is not None, "a method that needs a text was given none"
        return Walk(self.model, self.windows, self.around)


def check_finite(weights: Mapping[str, Stored], where: str) -> None:
    """Raises CheckpointError that names the first tensor with a NaN or an infinity."""
    for name in weights:
        array = weights[name]
        if isinstance(array, QuantizedTensor):
            array = array.scale if array.offset is None else array.scale + array.offset
        if not all_finite(array):
            bad = int((~np.isfinite(to_float32(array))).sum())
            raise CheckpointError(
                f"{where}: tensor {name} holds {bad:,} numbers that are NaN or infinite, so it "
                "cannot be quantized. The training broke, or the file is damaged: take an earlier "
                "checkpoint."
            )
