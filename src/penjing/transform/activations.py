"""Inputs of layers rounded while a block runs, as a model with quantized activations has them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from penjing.model.activations import round_to_int8


@contextmanager
def rounded_inputs(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """While the block runs, the modules of these names are given inputs rounded to int8.

    Each token's vector has a scale of its own, found as it comes by ("dynamic"), so no calibration
    is needed for it. The rounding is done on floats: what is measured is the scheme.
    """

    def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return round_to_int8(given[0]), *given[1:]

    handles = [model.get_submodule(name).register_forward_pre_hook(hook) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
