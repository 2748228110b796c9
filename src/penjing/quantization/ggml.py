"""ggml's block formats, as GGUF files hold them: to `QuantizedTensor` exactly, and back.

A new format is its layout in `ggml_blocks.py`, and one line in `BLOCK_TYPES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.core.table import Table
from penjing.quantization.ggml_blocks import (
    BLOCK,
    Bytes,
    Floats,
    Parts,
    pack_q4_0,
    pack_q4_1,
    pack_q8_0,
    round_q4_0,
    round_q4_1,
    round_q8_0,
    to_f16,
    unpack_q4_0,
    unpack_q4_1,
    unpack_q4_k,
    unpack_q5_0,
    unpack_q5_1,
    unpack_q5_k,
    unpack_q6_k,
    unpack_q8_0,
)
from penjing.quantization.tensor import QuantizedTensor

F16_MAX = 65504.0


@dataclass(frozen=True)
class BlockType:
    """A way to store `weights` numbers in `size` bytes. Blocks are (N, blocks of a row, size)."""

    number: int  # ggml_type in ggml.h
    weights: int  # in a block
    size: int  # bytes of a block
    bits: int  # of each weight, without the scales
    group: int = 1  # weights that share a scale
    unpack: Callable[[Bytes], Parts] | None = None  # None: floats
    pack: Callable[[QuantizedTensor], Bytes] | None = None
    round: Callable[[Floats], Parts] | None = None  # (N, blocks, 32) -> parts; scales in float16

    def row_bytes(self, k: int) -> int:
        """Bytes of a row of k weights, which are whole blocks."""
        return k // self.weights * self.size


def unpack_blocks(raw: Bytes, type_name: str) -> QuantizedTensor:
    """Raw rows (N, bytes of a row) of a quantized type -> the same weights, exactly."""
    kind = BLOCK_TYPES[type_name]
    assert kind.unpack is not None, type_name
    n = len(raw)
    blocks = raw.reshape(n, -1, kind.size)
    q, scale, offset = kind.unpack(blocks)
    k = blocks.shape[1] * kind.weights
    return QuantizedTensor(
        q=q.reshape(n, k),
        scale=scale.reshape(n, -1),
        offset=None if offset is None else offset.reshape(n, -1),
        bits=kind.bits,
        group=kind.group,
        scheme=type_name,
    )


def unpack_floats(raw: Bytes, type_name: str) -> Floats:
    """Raw rows (N, bytes of a row) of F32, F16 or BF16 -> float32 (N, K), exactly."""
    if type_name == "F32":
        return raw.view("<f4").astype(np.float32)
    if type_name == "F16":
        return raw.view("<f2").astype(np.float32)
    wide = raw.view("<u2").astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


def pack_floats(w: Floats, type_name: str) -> Bytes:
    """float32 (N, K) -> raw rows of F32, F16 or BF16, rounded to nearest even.

    Raises:
        CheckpointError: a weight is too large for float16.
    """
    w = np.ascontiguousarray(w, dtype=np.float32)
    if type_name == "F32":
        return w.astype("<f4").view(np.uint8)
    if type_name == "F16":
        size = np.abs(w)
        if (size > F16_MAX).any():
            raise CheckpointError(
                f"A weight of {np.nanmax(size):.3g} is too large for F16, whose largest number is "
                "65504. Choose BF16 or F32."
            )
        return w.astype("<f2").view(np.uint8)
    bits = w.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> 16
    rounded[np.isnan(w)] = 0x7FC0  # which the sum may have turned into 0
    return rounded.astype("<u2").view(np.uint8)


def round_to_blocks(w: Floats, type_name: str) -> QuantizedTensor:
    """float32 (N, K) -> Q8_0, Q4_0 or Q4_1, rounded as llama.cpp rounds.

    Raises:
        CheckpointError: K is no multiple of 32, a weight is not finite, or too large for a scale
            in float16.
    """
    kind = BLOCK_TYPES[type_name]
    assert kind.round is not None, type_name
    n, k = w.shape
    if k % BLOCK:
        raise CheckpointError(
            f"Rows of {k} weights cannot be cut into {type_name}'s blocks of {BLOCK}. "
            "Choose F16, BF16 or F32."
        )
    if not np.isfinite(w).all():
        raise CheckpointError("Some weights are not finite: they cannot be quantized.")
    blocks = np.ascontiguousarray(w, dtype=np.float32).reshape(n, -1, BLOCK)
    q, scale, offset = kind.round(blocks)
    if not np.isfinite(scale).all() or (offset is not None and not np.isfinite(offset).all()):
        raise CheckpointError(
            f"Weights up to {np.abs(w).max():.3g} give {type_name} scales beyond float16. "
            "Choose BF16 or F32."
        )
    return QuantizedTensor(q.reshape(n, k), scale, offset, kind.bits, BLOCK, type_name)


def pack_blocks(tensor: QuantizedTensor, type_name: str) -> Bytes:
    """Raw rows (N, bytes of a row) of the very weights of `tensor`, which `refit` has made fit."""
    kind = BLOCK_TYPES[type_name]
    assert kind.pack is not None and tensor.group == BLOCK, type_name
    return kind.pack(tensor).reshape(len(tensor.q), -1)


def refit(tensor: QuantizedTensor, type_name: str) -> tuple[QuantizedTensor, bool] | None:
    """The same integers in Q8_0, Q4_0 or Q4_1, and whether their scales are the same too.

    Groups of 64, 128 or a whole row become several blocks with one scale; a zero point moves into
    the integers, or out of them into Q4_1's minimum. Where float16 has not a scale's very value it
    takes the nearest. None: the integers do not fit.
    """
    if type_name not in QUANTIZED_OUT or tensor.shape[1] % BLOCK or tensor.group % BLOCK:
        return None
    repeat = tensor.group // BLOCK
    scale = np.repeat(tensor.scale, repeat, axis=1)
    offset = None if tensor.offset is None else np.repeat(tensor.offset, repeat, axis=1)
    q = tensor.q.astype(np.int16)
    if type_name == "Q4_1" and offset is None:
        q, offset = q + 8, scale * np.float32(-8)
    elif type_name != "Q4_1" and offset is not None:
        zero = _zero_points(scale, offset)
        if zero is None:
            return None
        q = q - np.repeat(zero, BLOCK, axis=1)
        offset = None
    low, high = {"Q8_0": (-128, 127), "Q4_0": (-8, 7), "Q4_1": (0, 15)}[type_name]
    if q.min(initial=0) < low or q.max(initial=0) > high:
        return None
    half = to_f16(scale)
    half_offset = None if offset is None else to_f16(offset)
    if not np.isfinite(half).all() or (
        half_offset is not None and not np.isfinite(half_offset).all()
    ):
        return None
    same = bool((half == scale).all()) and (
        half_offset is None or bool((half_offset == offset).all())
    )
    small = q.astype(np.uint8) if type_name == "Q4_1" else q.astype(np.int8)
    bits = BLOCK_TYPES[type_name].bits
    return QuantizedTensor(small, half, half_offset, bits, BLOCK, type_name), same


def _zero_points(scale: Floats, offset: Floats) -> NDArray[np.int16] | None:
    """z of offset = -scale * z, if it is a whole number everywhere."""
    safe = np.where(scale == 0, np.float32(1), scale)
    zero = np.rint(-offset / safe)
    if not (-scale * zero == offset).all() or np.abs(zero).max(initial=0) > 255:
        return None
    return zero.astype(np.int16)


BLOCK_TYPES: Table[BlockType] = Table(
    "GGUF tensor type",
    {
        "F32": BlockType(0, 1, 4, 32),
        "F16": BlockType(1, 1, 2, 16),
        "BF16": BlockType(30, 1, 2, 16),
        "Q8_0": BlockType(8, 32, 34, 8, 32, unpack_q8_0, pack_q8_0, round_q8_0),
        "Q4_0": BlockType(2, 32, 18, 4, 32, unpack_q4_0, pack_q4_0, round_q4_0),
        "Q4_1": BlockType(3, 32, 20, 4, 32, unpack_q4_1, pack_q4_1, round_q4_1),
        "Q5_0": BlockType(6, 32, 22, 5, 32, unpack_q5_0),
        "Q5_1": BlockType(7, 32, 24, 5, 32, unpack_q5_1),
        "Q4_K": BlockType(12, 256, 144, 4, 32, unpack_q4_k),
        "Q5_K": BlockType(13, 256, 176, 5, 32, unpack_q5_k),
        "Q6_K": BlockType(14, 256, 210, 6, 16, unpack_q6_k),
    },
)
FLOAT_TYPES = tuple(name for name, kind in BLOCK_TYPES.items() if kind.unpack is None)
QUANTIZED_OUT = tuple(name for name, kind in BLOCK_TYPES.items() if kind.round is not None)
