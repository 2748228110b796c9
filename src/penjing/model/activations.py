"""Inputs of layers rounded to int8 as they come: what "w8a8" means besides its weights.

Each token has a scale of its own, from its largest input: s = max|x| / 127.5, q = round(x / s) in
-128..127 (Yao et al. 2022, "token-wise"). The formula is that of compressed-tensors, so that a
model computes here what it computes there. A processor then multiplies integers; here the rounded
numbers go on as floats, to show the same loss in quality.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from penjing.core.errors import CheckpointError
from penjing.model.base import LanguageModel
from penjing.model.weights import Rule


def round_to_int8(x: Tensor) -> Tensor:
    """x (..., K) -> the nearest numbers that int8 with a scale for each token can hold."""
    scale = x.abs().amax(dim=-1, keepdim=True) / 127.5
    scale = torch.where(scale == 0, torch.finfo(x.dtype).eps, scale)
    return (x / scale).round().clamp(-128, 127) * scale


def quantize_inputs(model: LanguageModel, rules: list[Rule], names: Collection[str]) -> None:
    """Round what goes into the layers whose weights have these names at Hugging Face.

    Raises:
        CheckpointError: only some of several weights that read the same input are named.
    """
    for rule in rules:
        named = [name for name in rule.theirs if name in names]
        if named and len(named) < len(rule.theirs):
            missing = next(name for name in rule.theirs if name not in names)
            raise CheckpointError(
                f"The inputs of {named[0]} are quantized, but not those of {missing}, which are "
                "the same numbers."
            )
        if named:
            layer = model.get_submodule(rule.ours.removesuffix(".weight"))
            layer.register_forward_pre_hook(_rounded)


@contextmanager
def rounded_inputs(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """While the block runs, the inputs of the modules of these names are rounded."""
    handles = [model.get_submodule(name).register_forward_pre_hook(_rounded) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rounded(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (round_to_int8(inputs[0]), *inputs[1:])
