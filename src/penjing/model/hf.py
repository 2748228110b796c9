"""How Hugging Face writes a family: one record, filled by one file for each form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penjing.model.config import ModelConfig
from penjing.model.weights import Rule


@dataclass(frozen=True)
class HuggingFace:
    """Both directions between our configuration and tensors, and theirs."""

    architecture: str | None  # the name of their class; None: they have no such family
    native: Callable[[ModelConfig], bool]  # whether that class computes the same as ours
    to_config: Callable[[ModelConfig], dict[str, Any]]  # for config.json
    settings: Callable[[Mapping[str, Any]], dict[str, Any]]  # config.json -> ModelConfig's fields
    rules: Callable[[ModelConfig], list[Rule]]  # how tensors map
    expected: Mapping[str, tuple[Any, ...]]  # values of config.json that we compute; no others
    canonical: Callable[[str], str] = str  # an older tensor name -> today's
    ignore: tuple[str, ...] = ()  # endings of tensor names that carry nothing
