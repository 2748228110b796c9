"""Arithmetic by part, against torch's own counter; parameters by part, against the model's."""

from typing import Any, get_args

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model, skeleton
from penjing.train.flops import (
    flops_by_part,
    flops_per_token,
    matmul_peak,
    parameters_by_part,
)

FAMILIES = get_args(FamilyName)


def config(**settings: Any) -> ModelConfig:
    sizes = {"vocab_size": 96, "n_layer": 2, "n_embd": 64, "n_head": 4, "context_length": 32}
    return ModelConfig(**{**sizes, **settings})


def counted(shape: ModelConfig, length: int) -> float:
    """FLOPs of a token, by torch's counter."""
    model = build_model(shape)
    ids = torch.randint(shape.vocab_size, (3, length))
    with FlopCounterMode(display=False) as counter:
        logits = model(ids)
        F.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    return counter.get_total_flops() / ids.numel()


@pytest.mark.parametrize("length", [8, 32])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_transformers_cost_what_torch_counts(family: Any, tied: bool, length: int) -> None:
    shape = config(family=family, tie_embeddings=tied)
    assert flops_per_token(shape, length) == pytest.approx(counted(shape, length), rel=1e-6)


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("family", ["rnn", "lstm"])
def test_recurrent_networks_cost_what_torch_counts(family: Any) -> None:
    """But for the first step, whose state is a constant: it has no gradient."""
    shape = config(family=family, n_head=0)
    with torch.backends.mkldnn.flags(enabled=False):  # whose LSTM the counter does not know
        expected = counted(shape, 32)
    assert flops_per_token(shape, 32) == pytest.approx(expected, rel=0.02)


def test_shared_key_heads_cost_less_but_scores_do_not() -> None:
    whole, shared = flops_by_part(config(), 32), flops_by_part(config(n_kv_head=1), 32)
    assert shared["scores"] == whole["scores"] == 12 * 2 * 64 * 32
    assert shared["attention"] < whole["attention"]
    shape = config(n_kv_head=1)
    assert flops_per_token(shape, 16) == pytest.approx(counted(shape, 16), rel=1e-6)


def test_only_scores_grow_with_the_window() -> None:
    short, long = flops_by_part(config(), 8), flops_by_part(config(), 80)
    assert long.pop("scores") == 10 * short.pop("scores")
    assert long == short


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_by_part_are_all_of_them(family: Any, tied: bool) -> None:
    shape = config(family=family, tie_embeddings=tied, n_head=0)
    parts = parameters_by_part(shape)
    model = build_model(shape)
    assert sum(parts.values()) == model.n_parameters()
    assert parts["embedding"] == 96 * 64
    assert parts.get("unembedding", 0) == (0 if tied else 96 * 64)
    inside = {"attention", "feed_forward"} if "recurrence" not in parts else {"recurrence"}
    assert set(parts) - {"unembedding", "position"} == {"embedding", "norm", *inside}


def test_a_skeleton_has_no_memory() -> None:
    assert all(p.is_meta for p in skeleton(config()).parameters())


def test_the_peak_is_measured_once() -> None:
    first = matmul_peak("cpu", torch.float32)
    assert first > 1e8
    assert matmul_peak("cpu", torch.float32) == first
