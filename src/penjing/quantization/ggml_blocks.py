"""How ggml lays out the blocks of its quantized formats, and how it rounds to them.

A block holds 32 weights after a float16 scale `d` (and, in the "_1" kinds, a float16 minimum `m`):

    Q8_0  d, 32 x int8                 w = d * q
    Q4_0  d, 16 bytes                  w = d * (q - 8): low halves of the bytes, then high ones
    Q4_1  d, m, 16 bytes               w = d * q + m
    Q5_0  d, 4 bytes, 16 bytes         the fifth bits, then as Q4_0; w = d * (q - 16)
    Q5_1  d, m, 4 bytes, 16 bytes      w = d * q + m

or 256 weights, with a scale in 6 or 8 bits (and a minimum in 6) for each 32, or 16, of them:

    Q4_K  d, m, 12 bytes, 128 bytes            w = d * s * q - m * t
    Q5_K  d, m, 12 bytes, 32 + 128 bytes       the same with fifth bits
    Q6_K  128 + 64 bytes, 16 x int8, d         w = d * s * (q - 32)

Layouts and rounding are those of ggml-quants.c in llama.cpp. Raw blocks are (N, blocks of a row,
bytes of a block).
"""

import numpy as np
from numpy.typing import NDArray

from penjing.quantization.tensor import QuantizedTensor

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Parts = tuple[NDArray[np.uint8] | NDArray[np.int8], Floats, Floats | None]  # q, scale, offset

BLOCK = 32  # weights that share a scale, in all formats that we write


def to_f16(x: Floats) -> Floats:
    """The nearest that float16 has; beyond its largest, infinity."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def _f16(raw: Bytes) -> Floats:
    """Two bytes of each block -> float32 (N, blocks)."""
    return np.ascontiguousarray(raw).view("<f2")[..., 0].astype(np.float32)


def _f16_bytes(x: Floats) -> Bytes:
    return x.astype("<f2")[..., None].view(np.uint8)


def _nibbles(packed: Bytes) -> Bytes:
    """(N, blocks, 16) -> (N, blocks, 32): all low halves, then all high ones."""
    n, blocks, half = packed.shape
    q = np.empty((n, blocks, 2, half), np.uint8)
    np.bitwise_and(packed, 15, out=q[:, :, 0])
    np.right_shift(packed, 4, out=q[:, :, 1])
    return q.reshape(n, blocks, 2 * half)


def _pack_nibbles(q: Bytes) -> Bytes:
    n, k = q.shape
    halves = q.reshape(n, k // BLOCK, 2, BLOCK // 2)
    packed: Bytes = halves[:, :, 0] | (halves[:, :, 1] << np.uint8(4))
    return packed


def unpack_q8_0(b: Bytes) -> Parts:
    return np.ascontiguousarray(b[..., 2:]).view(np.int8), _f16(b[..., :2]), None


def unpack_q4_0(b: Bytes) -> Parts:
    return _nibbles(b[..., 2:]).view(np.int8) - np.int8(8), _f16(b[..., :2]), None


def unpack_q4_1(b: Bytes) -> Parts:
    return _nibbles(b[..., 4:]), _f16(b[..., :2]), _f16(b[..., 2:4])


def _fifth_bits(high: Bytes) -> Bytes:
    """(N, blocks, 4) -> (N, blocks, 32): bit 4 of each weight, where it belongs."""
    bits = np.unpackbits(np.ascontiguousarray(high), axis=-1, bitorder="little")
    return bits << np.uint8(4)


def unpack_q5_0(b: Bytes) -> Parts:
    q = (_nibbles(b[..., 6:]) | _fifth_bits(b[..., 2:6])).view(np.int8)
    return q - np.int8(16), _f16(b[..., :2]), None


def unpack_q5_1(b: Bytes) -> Parts:
    q = _nibbles(b[..., 8:]) | _fifth_bits(b[..., 4:8])
    return q, _f16(b[..., :2]), _f16(b[..., 2:4])


def _six_bits(packed: Bytes) -> tuple[Floats, Floats]:
    """12 bytes -> 8 scales and 8 minima of 6 bits each, (N, blocks, 8)."""
    low_scale, low_min, rest = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scale = [low_scale & 0x3F, (rest & 0x0F) | ((low_scale >> 2) & 0x30)]
    least = [low_min & 0x3F, (rest >> 4) | ((low_min >> 2) & 0x30)]
    return (
        np.concatenate(scale, axis=-1).astype(np.float32),
        np.concatenate(least, axis=-1).astype(np.float32),
    )


def _scales_k(b: Bytes) -> tuple[Floats, Floats]:
    """Scale and offset of each 32 weights of Q4_K and Q5_K, (N, blocks, 8)."""
    scale, least = _six_bits(b[..., 4:16])
    return _f16(b[..., :2])[..., None] * scale, -(_f16(b[..., 2:4])[..., None] * least)


def _nibbles_k(packed: Bytes, run: int) -> Bytes:
    """Low, then high halves of each `run` bytes: (N, blocks, bytes) -> (N, blocks, 2 * bytes)."""
    n, blocks, size = packed.shape
    return _nibbles(packed.reshape(n, blocks * (size // run), run)).reshape(n, blocks, 2 * size)


def unpack_q4_k(b: Bytes) -> Parts:
    return _nibbles_k(np.ascontiguousarray(b[..., 16:]), 32), *_scales_k(b)


def unpack_q5_k(b: Bytes) -> Parts:
    n, blocks, _ = b.shape
    high = b[..., None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None]  # (N, blocks, 8, 32)
    fifth = ((high & np.uint8(1)) << np.uint8(4)).reshape(n, blocks, 256)
    return _nibbles_k(np.ascontiguousarray(b[..., 48:]), 32) | fifth, *_scales_k(b)


def unpack_q6_k(b: Bytes) -> Parts:
    n, blocks, _ = b.shape
    low = _nibbles_k(np.ascontiguousarray(b[..., :128]), 64)
    high = b[..., 128:192].reshape(n, blocks, 2, 1, 32)
    high = (high >> np.array([0, 2, 4, 6], np.uint8)[:, None]) & np.uint8(3)
    q = (low | (high << np.uint8(4)).reshape(n, blocks, 256)).view(np.int8) - np.int8(32)
    scales = np.ascontiguousarray(b[..., 192:208]).view(np.int8).astype(np.float32)
    return q, _f16(b[..., 208:210])[..., None] * scales, None


def pack_q8_0(t: QuantizedTensor) -> Bytes:
    n, k = t.shape
    q = t.q.reshape(n, k // BLOCK, BLOCK).view(np.uint8)
    return np.concatenate([_f16_bytes(t.scale), q], axis=-1)


def pack_q4_0(t: QuantizedTensor) -> Bytes:
    q = (t.q + np.int8(8)).astype(np.uint8)
    return np.concatenate([_f16_bytes(t.scale), _pack_nibbles(q)], axis=-1)


def pack_q4_1(t: QuantizedTensor) -> Bytes:
    assert t.offset is not None
    parts = [_f16_bytes(t.scale), _f16_bytes(t.offset), _pack_nibbles(t.q.astype(np.uint8))]
    return np.concatenate(parts, axis=-1)


def _inverse(d: Floats) -> Floats:
    """1 / d, and 0 where that is beyond float32."""
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.float32(1) / d
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def round_q8_0(w: Floats) -> Parts:
    """The largest magnitude becomes 127; halves are rounded away from 0."""
    d = np.abs(w).max(axis=-1) / np.float32(127)
    x = w * _inverse(d)[..., None]
    size = np.abs(x)
    whole = np.floor(size)
    whole += np.floor(2 * (size - whole))
    return np.copysign(whole, x).astype(np.int8), to_f16(d), None


def round_q4_0(w: Floats) -> Parts:
    """The weight of the largest magnitude becomes -8, with its sign in the scale."""
    at = np.abs(w).argmax(axis=-1)[..., None]
    d = np.take_along_axis(w, at, axis=-1)[..., 0] / np.float32(-8)
    q = (w * _inverse(d)[..., None] + np.float32(8.5)).astype(np.uint8).clip(0, 15)
    return q.view(np.int8) - np.int8(8), to_f16(d), None


def round_q4_1(w: Floats) -> Parts:
    """The least weight becomes 0, the greatest 15."""
    least = w.min(axis=-1)
    d = (w.max(axis=-1) - least) / np.float32(15)
    x = (w - least[..., None]) * _inverse(d)[..., None] + np.float32(0.5)
    return x.astype(np.uint8).clip(0, 15), to_f16(d), to_f16(least)
