"""The cache's own limits (that it changes nothing is a contract of the families)."""

import pytest
import torch

from penjing.core.errors import GenerationError
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model


def model() -> LanguageModel:
    return build_model(ModelConfig(vocab_size=30, n_layer=2, n_embd=32, context_length=8))


def test_it_is_made_for_the_model() -> None:
    half = model().bfloat16()
    cache = half.new_cache(batch_size=3)
    assert cache.capacity == 8 and cache.keys[0].dtype == torch.bfloat16
    half(torch.zeros(3, 8, dtype=torch.int64), cache=cache)
    assert cache.length == 8


def test_it_is_no_part_of_the_gradient() -> None:
    m = model()
    cache = m.new_cache()
    m(torch.zeros(1, 4, dtype=torch.int64), cache=cache)
    assert not cache.keys[0].requires_grad and not cache.values[1].requires_grad


def test_it_is_full() -> None:
    m = model()
    cache = m.new_cache(capacity=5)
    m(torch.zeros(1, 4, dtype=torch.int64), cache=cache)
    with pytest.raises(GenerationError, match="holds 5 positions: 4 are filled and 2 more"):
        m(torch.zeros(1, 2, dtype=torch.int64), cache=cache)
    with pytest.raises(GenerationError, match="holds 0 positions"):
        m(torch.zeros(1, 2, dtype=torch.int64), cache=m.new_cache(capacity=0))


@pytest.mark.parametrize("change", ["rows", "precision"])
def test_it_was_made_for_something_else(change: str) -> None:
    m = model()
    cache = m.new_cache()
    if change == "precision":
        m.bfloat16()
    with pytest.raises(GenerationError, match=r"was made for 1 rows of torch\.float32"):
        m(torch.zeros(2 if change == "rows" else 1, 2, dtype=torch.int64), cache=cache)


def test_trimming_beyond_what_is_there() -> None:
    cache = model().new_cache()
    with pytest.raises(ValueError, match="trim to 1: the cache holds 0"):
        cache.trim(1)
