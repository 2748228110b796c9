"""Arithmetic that goes wrong on purpose."""

import math
from typing import Any

import torch
from torch import Tensor


class BadGradient(torch.autograd.Function):
    """The identity, with a gradient that is no number."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] * math.nan
