"""A forecast measures a run of this shape, leaves nothing behind, and says what is odd."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from penjing.core.errors import TrainingError
from penjing.core.events import Event
from penjing.data.batches import Tokens
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.tokenizer.config import TokenizerConfig
from penjing.train import pretrain as pretrain_module
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.flops import flops_per_token
from penjing.train.forecast import forecast as forecast_module
from penjing.train.forecast.forecast import Forecast, forecast
from penjing.train.forecast.needs import USABLE
from penjing.train.loop import train
from penjing.train.objectives import NextToken
from penjing.train.prepare import Prepared, prepare
from penjing.train.pretrain import pretrain
from penjing.train.progress import Hooks
from penjing.train.run import Journal

VERSE = "the moon looks in at the window,\nand the frost lies white on the ground.\n"


@pytest.fixture
def config(tmp_path: Path) -> PretrainConfig:
    file = tmp_path / "verse.txt"
    file.write_text("".join(f"{i} bottles: {VERSE}" for i in range(60)), encoding="utf-8")
    return PretrainConfig(
        data=DataConfig(sources=(str(file),), validation_fraction=0.2),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=1, n_embd=32, n_head=2, context_length=16),
        train=TrainConfig(steps=6, batch_size=4, threads=1, sample_tokens=8, eval_every=3),
    )


@pytest.fixture
def prepared(config: PretrainConfig) -> Prepared:
    return prepare(config, Journal(()))


def set_train(config: PretrainConfig, **settings: Any) -> PretrainConfig:
    return replace(config, train=replace(config.train, **settings))


def test_a_forecast_of_a_small_run(
    config: PretrainConfig, prepared: Prepared, tmp_path: Path
) -> None:
    found = forecast(config, prepared, folder=tmp_path / "not" / "yet" / "there")
    model = build_model(prepared.shape)
    assert found.parameters["total"] == model.n_parameters()
    assert found.tokens == 6 * 4 * 16
    assert found.epochs == found.tokens / len(prepared.training.ids)
    assert found.flops_per_token == flops_per_token(prepared.shape, 16)
    assert found.flops == found.flops_per_token * found.tokens
    assert found.micro_batch_size == 4
    assert 0 < found.step_seconds * 6 < found.seconds < 60
    assert found.peak_flops > 0
    # At least the weights, the masters and one average, in as many checkpoints as are made.
    assert found.disk > 2 * (2 + 4 + 4) * model.n_parameters()
    assert [path.name for path in tmp_path.iterdir()] == ["verse.txt"]


def test_the_event_has_plain_values(config: PretrainConfig, prepared: Prepared) -> None:
    import json

    data = forecast(config, prepared).event_data()
    assert set(data) == {
        *("parameters", "memory", "tokens", "epochs", "flops", "flops_per_token", "step_seconds"),
        *("seconds", "disk", "micro_batch_size", "peak_flops", "notes"),
    }
    assert json.loads(json.dumps(data)) == data
    assert {"weights", "masters", "gradients", "optimizer", "activations"} < set(data["memory"])


def test_shorter_windows_are_counted_at_their_own_cost(
    config: PretrainConfig, prepared: Prepared
) -> None:
    found = forecast(set_train(config, short_contexts=(8,)), prepared)
    assert found.tokens == 6 * 4 * 16
    costs = [flops_per_token(prepared.shape, window) for window in (8, 16)]
    assert found.flops == pytest.approx(3 * 64 * sum(costs))


def test_nothing_is_drawn_from_the_runs_generators(
    config: PretrainConfig, prepared: Prepared
) -> None:
    dropping = replace(prepared, shape=replace(prepared.shape, dropout=0.3))
    before, ids = torch.get_rng_state(), prepared.training.ids.clone()
    forecast(config, dropping)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(prepared.training.ids, ids)


def test_a_run_is_the_same_with_and_without_it(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, model=replace(config.model, dropout=0.2))
    told: list[Event] = []
    with_it = pretrain(config, out=tmp_path / "with", listeners=[told.append])
    assert "forecast" in [event.kind for event in told]
    monkeypatch.setattr(pretrain_module, "_foresee", lambda *_: 0)
    without = pretrain(config, out=tmp_path / "without")
    a, b = with_it.checkpoint.weights(), without.checkpoint.weights()
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert with_it.figures["loss"] == without.figures["loss"]


def test_a_batch_that_does_not_fit_is_split_and_learns_the_same(
    config: PretrainConfig, prepared: Prepared
) -> None:
    config = set_train(config, batch_size=64, precision="float32")
    whole = forecast(config, prepared)
    state = whole.memory.weights + whole.memory.masters + whole.memory.optimizer
    room = int((state + 0.7 * 64 * 50_000) / USABLE)
    while (split := forecast(config, prepared, room)).micro_batch_size == 64:
        room = room * 2 // 3
    assert 1 <= split.micro_batch_size < 64
    assert any("64 windows does not fit" in note for note in split.notes)

    def losses(size: int) -> list[float]:
        told: list[Event] = []
        torch.manual_seed(0)
        model = build_model(prepared.shape, seed=1)
        settings = replace(config.train, micro_batch_size=size, log_every=1)
        generator = torch.Generator().manual_seed(2)
        windows = Curriculum(prepared.training, settings, 16, generator)
        train(model, NextToken(windows), settings, Hooks(tell=told.append))
        return [event.data["loss"] for event in told if event.kind == "step"]

    assert losses(split.micro_batch_size) == pytest.approx(losses(0), abs=1e-5)


def test_a_model_that_cannot_fit_is_refused_before_it_is_made(
    config: PretrainConfig, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = replace(prepared, shape=replace(prepared.shape, n_embd=1 << 16, n_inner=1 << 18))
    monkeypatch.setattr(forecast_module, "Trial", lambda *_: pytest.fail("it was made"))
    with pytest.raises(TrainingError, match=r"needs at least .* GB, and 1.07 GB are free"):
        forecast(config, huge, 2**30)


def tokens(n: int) -> Tokens:
    return Tokens(torch.zeros(n, dtype=torch.int64), n, 1)


@pytest.mark.parametrize(
    ("read", "text", "parameters", "said"),
    [
        (20_000, 20_000, 1000, []),
        (20_000, 6_000, 1000, []),  # 3.3 passes
        (20_000, 100_000, 10_000, ["more train.steps"]),
        (20_000, 10_000, 10_000, ["more text"]),
        (90_000, 10_000, 1000, ["reads its text 9.0 times"]),
        (90_000, 10_000, 10_000, ["4 for each parameter", "reads its text 9.0 times"]),
    ],
)
def test_too_little_data_is_said(read: int, text: int, parameters: int, said: list[str]) -> None:
    notes = list(forecast_module._data_notes(read, text, parameters))
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))


def test_a_machine_that_is_too_small_is_said(config: PretrainConfig, prepared: Prepared) -> None:
    memory = forecast(config, prepared).memory
    settings = config.train

    def notes(free: int = 10**9, **changes: Any) -> list[str]:
        changed = replace(memory, **changes)
        return list(forecast_module._machine_notes(settings, changed, 4, 10**6, free))

    taken = memory.total - memory.process
    assert notes(available=taken * 2) == notes(available=None) == []
    assert "nearly full" in notes(available=int(taken * 1.1))[0]
    assert "disk is too small" in notes(available=None, free=1000)[0]


def test_the_notes_reach_the_event(config: PretrainConfig, prepared: Prepared) -> None:
    found: Forecast = forecast(set_train(config, compile=True), prepared)
    assert found.event_data()["notes"] == list(found.notes)
    assert any("train.compile" in note for note in found.notes)
    assert any("Few tokens for the size" in note for note in found.notes)
