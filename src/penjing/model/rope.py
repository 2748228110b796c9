"""RoPE's frequencies, and how they are stretched beyond the trained length.

Channel pair i of D/2 turns by `theta ** (-2i / D)` radians a position (Su et al. 2021). Beyond the
trained length the slow pairs reach angles that training never showed. Each scaling gives other
frequencies, so that `rope_factor` times the length fits into the angles that are known:

    linear  all of them slower by the factor: positions are squeezed       Chen et al. 2023
    ntk     a larger theta: the slowest pair slower by the factor, the     bloc97 2023
            fastest as before, those between by degrees
    yarn    pairs that turn often in the trained length stay, those that   Peng et al. 2023
            do not even turn once are squeezed, a ramp lies between; and
            the scores grow a little sharper
    llama3  the same idea, with a ramp over wavelengths                    Llama 3.1, 2024
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.core.table import Table
from penjing.model.config import ModelConfig

BETA_FAST, BETA_SLOW = 32.0, 1.0  # YaRN: turns in the trained length where the ramp begins and ends
LOW_FREQUENCY, HIGH_FREQUENCY = 1.0, 4.0  # the same for Llama 3.1, which counts from the slow end


Array: TypeAlias = Any  # floats of NumPy or of torch: the formulas are the same


@dataclass(frozen=True)
class Scaling:
    """One way to stretch RoPE."""

    frequencies: Callable[[Array, ModelConfig], Array]  # pairs 0..D/2-1 -> (D/2,)
    sharpness: Callable[[ModelConfig], float] = lambda _config: 1.0  # multiplies cos and sin


def frequencies(config: ModelConfig) -> NDArray[np.float32]:
    """Radians a position for each pair of channels, (D/2,); computed in float64."""
    exact: NDArray[np.float64] = frequencies_of(np.arange(config.head_dim // 2.0), config)
    return exact.astype(np.float32)


def frequencies_of(pairs: Array, config: ModelConfig) -> Array:
    """Radians a position of these pairs of channels; computed where and as they are given."""
    return SCALINGS[config.rope_scaling].frequencies(pairs, config)


def sharpness(config: ModelConfig) -> float:
    """What multiplies cos and sin; its square multiplies the attention scores."""
    return SCALINGS[config.rope_scaling].sharpness(config)


def ntk_theta(config: ModelConfig) -> float:
    """The theta that slows the slowest pair down by the factor: theta * s ** (D / (D - 2))."""
    width = config.head_dim
    return float(config.rope_theta * config.rope_factor ** (width / (width - 2)))


def yarn_sharpness(factor: float) -> float:
    """0.1 ln(s) + 1 (Peng et al. 2023, equation 22): it makes up for attention that spreads."""
    return 0.1 * math.log(factor) + 1.0


def unscaled(pairs: Array, config: ModelConfig, theta: float | None = None) -> Array:
    """Radians a position without any scaling."""
    return (theta or config.rope_theta) ** -(2 * pairs / config.head_dim)


def _linear(pairs: Array, config: ModelConfig) -> Array:
    return unscaled(pairs, config) / config.rope_factor


def _ntk(pairs: Array, config: ModelConfig) -> Array:
    return unscaled(pairs, config, ntk_theta(config))


def _yarn(pairs: Array, config: ModelConfig) -> Array:
    def pair_that_turns(times: float) -> float:
        """The (fractional) pair that turns so often in the trained length."""
        wavelength = config.rope_original_context / times / (2 * math.pi)
        return config.head_dim * math.log(wavelength) / (2 * math.log(config.rope_theta))

    base = unscaled(pairs, config)
    low = max(0, math.floor(pair_that_turns(BETA_FAST)))
    high = min(config.head_dim - 1, math.ceil(pair_that_turns(BETA_SLOW)))
    squeezed = ((pairs - low) / (high - low or 0.001)).clip(0, 1)  # 0: left alone, 1: squeezed
    return base / config.rope_factor * squeezed + base * (1 - squeezed)


def _llama3(pairs: Array, config: ModelConfig) -> Array:
    base = unscaled(pairs, config)
    turns = config.rope_original_context * base / (2 * math.pi)  # in the trained length
    kept = ((turns - LOW_FREQUENCY) / (HIGH_FREQUENCY - LOW_FREQUENCY)).clip(0, 1)
    return base / config.rope_factor * (1 - kept) + base * kept


SCALINGS: Table[Scaling] = Table(
    "RoPE scaling",
    {
        "none": Scaling(unscaled),
        "linear": Scaling(_linear),
        "ntk": Scaling(_ntk),
        "yarn": Scaling(_yarn, sharpness=lambda config: yarn_sharpness(config.rope_factor)),
        "llama3": Scaling(_llama3),
    },
)
