"""Memory by part, against tensors that are there; and what is done when it is not enough."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from penjing.core.errors import TrainingError
from penjing.data.batches import Tokens
from penjing.model.config import ModelConfig
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.forecast.needs import Needs, least, micro_batch
from penjing.train.forecast.probe import Footprint, Timeline, Trial
from penjing.train.prepare import Prepared

GIB = 2**30
IDS = torch.randint(50, (3000,), generator=torch.Generator().manual_seed(0))


def shape(**settings: Any) -> ModelConfig:
    sizes = {"vocab_size": 50, "n_layer": 2, "n_embd": 32, "n_head": 2, "context_length": 24}
    return ModelConfig(**{**sizes, **settings}).resolve()


def trial(model: ModelConfig, dtype: torch.dtype = torch.float32, **settings: Any) -> Trial:
    return Trial(model, TrainConfig(**settings), torch.device("cpu"), dtype)


def needs(model: ModelConfig, room: int | None = None) -> Needs:
    tokens = Tokens(IDS, len(IDS), 1)
    few = Tokens(IDS[:20], 20, 1)
    prepared = Prepared(tokenizer=None, training=tokens, validation=few, shape=model)  # type: ignore[arg-type]
    return Needs.of(trial(model), prepared, room)


@pytest.mark.parametrize(
    ("rows", "fixed", "each", "available", "size"),
    [
        (16, 0, 10, 1000, 16),  # all
        (16, 0, 100, 1000, 8),  # 8 fit: two parts
        (16, 0, 100, 900, 6),  # 7 fit: three parts of 6, 5, 5
        (16, 0, 100, 2000, 16),  # exactly
        (16, 400, 100, 1000, 4),  # what is fixed leaves room for 4
        (5, 0, 100, 500, 3),  # 4 fit: two parts of 3 and 2
        (16, 750, 100, 1000, 0),  # not even one
        (16, 900, 0, 1000, 0),
        (16, 100, 0, 1000, 16),  # rows that cost nothing
        (1, 0, 800, 1000, 1),
    ],
)
def test_the_fewest_equal_parts_that_fit(
    rows: int, fixed: int, each: int, available: int, size: int
) -> None:
    assert micro_batch(rows, fixed, each, available) == size


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "lstm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [24, 8])
def test_a_footprint_is_true_for_any_number_of_rows(
    family: Any, dtype: torch.dtype, length: int
) -> None:
    """Counted at two and four rows, it says what eleven take: to the byte, but for an LSTM, whose
    kernel rounds the sizes of its buffers."""
    model = trial(shape(family=family, n_head=0), dtype)
    found, seen = model.footprint(IDS, length), model.timeline(IDS, length, 11)
    exactly = 0.12 if family == "lstm" else 0.0
    assert found.peak(11) == pytest.approx(max(seen.live), rel=exactly)
    assert found.kept == pytest.approx(seen.kept / 11, rel=0.2)


def test_a_single_row_bounds_the_others() -> None:
    model = trial(shape())
    one = Footprint.bound(model.timeline(IDS, 24, 1))
    assert one.peak(9) >= model.footprint(IDS, 24).peak(9)


def test_steps_of_different_operations_are_bounded() -> None:
    two, three = Timeline(2, [10, 20], 8), Timeline(3, [15, 30, 4], 12)
    assert Footprint.through(two, three).peak(6) == 60


@pytest.mark.parametrize("name", ["muon", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_are_the_tensors_that_are_there(name: Any, dtype: torch.dtype) -> None:
    model = shape()
    made = trial(model, dtype, optimizer=OptimizerConfig(name=name))
    tokens = Tokens(IDS, len(IDS), 1)
    prepared = Prepared(tokenizer=None, training=tokens, validation=tokens, shape=model)  # type: ignore[arg-type]
    found = Needs.of(made, prepared, None)

    parameters = list(made.model.parameters())
    state = made.state()
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
        for t in [*(p.detach() for p in parameters), *state.values()]
    }
    assert found.weights == sum(p.numel() * dtype.itemsize for p in parameters)
    assert found.state == made.bytes == sum(storages.values())
    kinds = {"mean": 0, "square": 0, "momentum": 0}
    for key, tensor in state.items():
        kind = key.split(".")[0]
        kinds[kind] = kinds.get(kind, 0) + tensor.nbytes
    assert found.optimizer == sum(n for kind, n in kinds.items() if kind != "master")
    if name == "adamw":
        assert found.masters == (kinds["master"] if dtype == torch.bfloat16 else 0)

    memory = found.memory(4, GIB)
    both = max(memory.activations, memory.gradients)
    held = memory.process + memory.weights + memory.masters + memory.optimizer
    assert memory.total == held + both + memory.workspace
    assert memory.gradients == memory.weights and memory.available == GIB


def test_the_least_is_less_than_what_is_counted() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        model = shape()
        made = trial(model, dtype)
        seen = made.bytes + max(made.timeline(IDS, 24, 1).live)
        assert least(model, dtype) <= seen


def test_as_many_windows_as_fit() -> None:
    found, config = needs(shape()), TrainConfig(batch_size=32)
    assert found.micro_batch(config, shape(), None) == 32
    assert found.micro_batch(config, shape(), GIB) == 32
    room = int((found.state + 1.4 * found.peak(16)) / 0.8)
    size = found.micro_batch(config, shape(), room)
    assert 8 <= size < 32
    assert found.state + 1.4 * (found.peak(size)) <= 0.8 * room


def test_the_setting_is_kept_where_it_fits() -> None:
    found, config = needs(shape()), TrainConfig(batch_size=32, micro_batch_size=5)
    assert found.micro_batch(config, shape(), GIB) == 5
    assert found.micro_batch(replace(config, micro_batch_size=99), shape(), GIB) == 32
    with pytest.raises(TrainingError, match=r"5 windows at once of .* Set train.micro_batch_size"):
        found.micro_batch(config, shape(), found.state + 1000)


def test_what_never_fits_is_said() -> None:
    with pytest.raises(TrainingError, match=r"single window of 24 tokens .* Lower model.n_layer"):
        needs(shape(), room=100_000)
    with pytest.raises(TrainingError, match="single window"):
        needs(shape()).micro_batch(TrainConfig(), shape(), 100_000)


def test_little_room_is_measured_with_one_window() -> None:
    """Several at once would not fit, so they are not tried."""
    made = trial(shape())
    one = max(made.timeline(IDS, 24, 1).live)
    room = int((made.bytes + 1.5 * 1.4 * one) / 0.8)
    found = needs(shape(), room=room)
    assert found.micro_batch(TrainConfig(batch_size=8), shape(), room) == 1
