"""Weights as torch's tensors: from what is stored, into our state, and back into a file."""

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from penjing.model.weights import Rule, Stored
from penjing.quantization.tensor import QuantizedTensor


def to_tensor(array: NDArray[Any]) -> Tensor:
    """The same numbers, in the same memory if it can be written; uint16 is bfloat16."""
    if not array.flags.writeable:
        array = array.copy()
    if array.dtype == np.uint16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: Tensor) -> NDArray[Any]:
    """The same numbers, in the same memory; bfloat16 as its bits in uint16."""
    if tensor.dtype == torch.bfloat16:
        bits: NDArray[np.uint16] = tensor.view(torch.int16).numpy().view(np.uint16)
        return bits
    array: NDArray[Any] = tensor.numpy()
    return array


def export_tensors(state: Mapping[str, Tensor], rules: list[Rule]) -> dict[str, Tensor]:
    """Our state -> their tensors, contiguous and independent of ours."""
    out: dict[str, Tensor] = {}
    for rule in rules:
        whole = state[rule.ours]
        parts = torch.split(whole, list(rule.rows)) if rule.rows else (whole,)
        for name, part in zip(rule.theirs, parts, strict=True):
            out[name] = (part.mT if rule.transpose else part).contiguous().clone()
    return out


def import_tensors(
    source: Mapping[str, Stored],
    rules: list[Rule],
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Their tensors -> our state; quantized ones as the numbers that they stand for, in `dtype`."""
    state = {}
    for rule in rules:
        parts = [_plain(source[name], dtype, transpose=rule.transpose) for name in rule.theirs]
        kinds = {part.dtype for part in parts}
        if len(kinds) > 1:  # some quantized, some not
            parts = [part.float() for part in parts]
        state[rule.ours] = torch.cat(parts) if len(parts) > 1 else parts[0].contiguous()
    return state


def _plain(stored: Stored, dtype: torch.dtype, *, transpose: bool) -> Tensor:
    """(outputs, inputs), as quantized tensors always are."""
    if isinstance(stored, QuantizedTensor):
        return torch.from_numpy(stored.dequantize()).to(dtype)
    tensor = to_tensor(stored)
    return tensor.mT if transpose else tensor


def save_tensors(
    tensors: Mapping[str, Tensor], file: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write one safetensors file, readable by all as the umask of the system would have it.

    Raises:
        OSError: the disk refuses, with its number, which safetensors hides in its message.
    """
    try:
        save_file(dict(tensors), file, metadata=dict(metadata or {}) or None)
        file.chmod(0o644)
    except SafetensorError as error:
        number = str(error).rpartition("os error ")[2].partition(")")[0]
        raise OSError(int(number) if number.isdigit() else errno.EIO, str(error)) from error
