"""RoPE and its scaling as Hugging Face writes them in config.json.

Today's name is `rope_parameters`. `rope_theta` and `rope_scaling` beside it are what transformers 4
and llama.cpp's converter read.
"""

from collections.abc import Mapping
from math import isclose
from typing import Any

from penjing.core.errors import CheckpointError
from penjing.model.config import ModelConfig
from penjing.model.rope import (
    BETA_FAST,
    BETA_SLOW,
    HIGH_FREQUENCY,
    LOW_FREQUENCY,
    ntk_theta,
    yarn_sharpness,
)

COMPUTED = ("default", "linear", "yarn", "llama3")


def rope_to_config(config: ModelConfig) -> dict[str, Any]:
    """Our settings in their words. NTK scaling is a larger theta, and nothing more."""
    theta = ntk_theta(config) if config.rope_scaling == "ntk" else config.rope_theta
    scaling = _scaling(config)
    out: dict[str, Any] = {
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta, **scaling},
    }
    return out | {"rope_scaling": out["rope_parameters"]} if scaling else out


def _scaling(config: ModelConfig) -> dict[str, Any]:
    known = {"original_max_position_embeddings": config.rope_original_context}
    if config.rope_scaling == "linear":
        return {"rope_type": "linear", "factor": config.rope_factor}
    if config.rope_scaling == "yarn":
        return {"rope_type": "yarn", "factor": config.rope_factor, **known}
    if config.rope_scaling == "llama3":
        ramp = {"low_freq_factor": LOW_FREQUENCY, "high_freq_factor": HIGH_FREQUENCY}
        return {"rope_type": "llama3", "factor": config.rope_factor, **ramp, **known}
    return {}


def rope_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """The RoPE settings of a config.json in our terms.

    Raises:
        CheckpointError: a scaling, or a part of one, that we do not compute.
    """
    rope = _table(data)
    theta = rope.get("rope_theta", data.get("rope_theta", 10000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in COMPUTED:
        raise CheckpointError(
            f"RoPE scaling {kind!r} cannot be computed here ({', '.join(COMPUTED)} can). "
            "Use a checkpoint without it."
        )
    if kind == "default":
        _expect(rope, {"partial_rotary_factor": 1.0})
        return {"rope_theta": theta}
    length = data["max_position_embeddings"]
    original = data.get("original_max_position_embeddings") or rope.get(
        "original_max_position_embeddings", 0 if kind == "linear" else length
    )
    factor = rope.get("factor") or (length / original if original else None)
    if not isinstance(factor, int | float) or not factor >= 1:
        raise CheckpointError(f"RoPE scaling needs a factor of at least 1, got {factor!r}.")
    _expect(rope, {"partial_rotary_factor": 1.0, **_fixed(kind, factor)})
    return {
        "rope_theta": theta,
        "rope_scaling": kind,
        "rope_factor": factor,
        "rope_original_context": original,
    }


def _table(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """rope_scaling, the older name, goes before rope_parameters, as in transformers."""
    for name in ("rope_scaling", "rope_parameters"):
        rope = data.get(name) or {}
        if not isinstance(rope, Mapping):
            raise CheckpointError(f"{name} must be a table, got {rope!r}.")
        if rope:
            return rope
    return {}


def _fixed(kind: str, factor: float) -> dict[str, float | bool]:
    """Settings of a scaling that have one value here."""
    if kind == "yarn":
        return {
            "beta_fast": BETA_FAST,
            "beta_slow": BETA_SLOW,
            "attention_factor": yarn_sharpness(factor),
            "truncate": True,
            "mscale": 0.0,
            "mscale_all_dim": 0.0,
        }
    if kind == "llama3":
        return {"low_freq_factor": LOW_FREQUENCY, "high_freq_factor": HIGH_FREQUENCY}
    return {}


def _expect(rope: Mapping[str, Any], fixed: Mapping[str, float | bool]) -> None:
    for name, value in fixed.items():
        given = rope.get(name)
        if given is not None and not isclose(given, value, rel_tol=1e-6):
            raise CheckpointError(
                f"RoPE scaling with {name} = {given!r} cannot be computed here (only {value!r})."
            )
