"""RoPE's settings in a GGUF file. Llama 3's scaling is a tensor there: a divisor for each pair."""

from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.reader import GgufFile
from penjing.model.config import ModelConfig
from penjing.model.rope import BETA_FAST, BETA_SLOW, frequencies_of, ntk_theta, unscaled
from penjing.quantization.ggml import unpack_floats

FACTORS = "rope_freqs.weight"  # (D/2,) float32: by how much each pair turns more slowly
# Parts of YaRN that have one value here.
_FIXED = {
    "attn_factor": 1.0,
    "yarn_ext_factor": 1.0,
    "yarn_attn_factor": 1.0,
    "yarn_beta_fast": BETA_FAST,
    "yarn_beta_slow": BETA_SLOW,
    "yarn_log_multiplier": 0.0,
}


def rope_settings(file: GgufFile, name: str, head_dim: int, context_length: int) -> dict[str, Any]:
    """The fields of `ModelConfig` that say how positions are turned.

    Raises:
        CheckpointError: a scaling, or a part of one, that we do not compute.
    """
    metadata = file.metadata
    theta = metadata.number(f"{name}.rope.freq_base", 10000.0)
    older = metadata.number(f"{name}.rope.scale_linear", 1.0)
    factor = metadata.number(f"{name}.rope.scaling.factor", older) or 1.0
    kind = metadata.text(f"{name}.rope.scaling.type", "linear")  # llama.cpp's default
    for key, value in _FIXED.items():
        found = metadata.number(f"{name}.rope.scaling.{key}", value)
        if not isclose(found, value, rel_tol=1e-6):
            raise CheckpointError(
                f"{file.path}: RoPE scaling with {key} = {found} cannot be computed here "
                f"(only {value})."
            )
    plain = {"rope_theta": theta}
    if FACTORS in file.tensors:
        return plain | _llama3(file, theta, head_dim, context_length)
    if kind == "none" or factor == 1:
        return plain
    if kind not in ("linear", "yarn"):
        raise CheckpointError(f"{file.path}: RoPE scaling {kind!r:.40} cannot be computed here.")
    known = metadata.whole(f"{name}.rope.scaling.original_context_length", 0)
    if kind == "yarn":
        known = known or context_length
    return plain | {
        "rope_scaling": kind,
        "rope_factor": factor,
        "rope_original_context": known,
    }


def _llama3(file: GgufFile, theta: float, head_dim: int, context_length: int) -> dict[str, Any]:
    """Which of Llama 3's scalings the divisors are: the trained length is found by trying."""
    info = file.tensors[FACTORS]
    if info.type != "F32" or info.shape != (head_dim // 2,):
        raise CheckpointError(f"{file.path}: {FACTORS} must be {head_dim // 2} numbers in F32.")
    factors = unpack_floats(file.raw(FACTORS), "F32")[0]
    if np.allclose(factors, 1):
        return {}
    factor = float(factors.max())
    if 1 < factor < 1e6:
        for exponent in range(7, 24):
            trained = 1 << exponent
            settings = {
                "rope_scaling": "llama3",
                "rope_factor": factor,
                "rope_original_context": trained,
            }
            config = ModelConfig(
                vocab_size=1,
                context_length=context_length,
                n_embd=head_dim,
                n_head=1,
                head_dim=head_dim,
                rope_theta=theta,
                rope_scaling="llama3",
                rope_factor=factor,
                rope_original_context=trained,
            )
            if np.allclose(rope_factors(config.resolve()), factors, rtol=1e-4):
                return settings
    raise CheckpointError(
        f"{file.path}: the divisors in {FACTORS} are not those of Llama 3's RoPE scaling; others "
        "cannot be computed here."
    )


def rope_factors(config: ModelConfig) -> NDArray[np.float32]:
    """The divisors (D/2,) that llama.cpp wants for Llama 3's scaling."""
    pairs = np.arange(config.head_dim // 2.0)
    factors: NDArray[np.float64] = unscaled(pairs, config) / frequencies_of(pairs, config)
    return factors.astype(np.float32)


def rope_metadata(config: ModelConfig) -> dict[str, Any]:
    """Keys after the architecture's name; Llama 3's scaling is a tensor instead."""
    theta = ntk_theta(config) if config.rope_scaling == "ntk" else config.rope_theta
    out: dict[str, Any] = {"rope.freq_base": float(theta)}
    if config.rope_scaling in ("linear", "yarn"):
        out["rope.scaling.type"] = config.rope_scaling
        out["rope.scaling.factor"] = float(config.rope_factor)
        out["rope.scaling.original_context_length"] = config.rope_original_context
    return out
