"""Optimizers against torch's own, NumPy in float64, and the claim that small steps are not lost."""

import numpy as np
import pytest
import torch
from torch import nn

from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.train import optimizers
from penjing.train.config import OptimizerConfig
from penjing.train.optimizers import AdamW, Muon, build_optimizer, orthogonalize


def random_grads(parameters: list[nn.Parameter], seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=g).to(p.dtype)


def test_adamw_is_torchs() -> None:
    ours = [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(5))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    config = OptimizerConfig(name="adamw", lr=0.01, weight_decay=0.1)
    mine = AdamW({str(i): p for i, p in enumerate(ours)}, config)
    groups = [
        {"params": theirs[:1], "weight_decay": 0.1},
        {"params": theirs[1:], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.005, betas=(0.9, 0.95), eps=1e-10)
    for step in range(5):
        random_grads(ours, step)
        random_grads(theirs, step)
        mine.step(0.5)
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("shape", [(16, 16), (48, 16), (16, 48)])
def test_orthogonalize_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    y = orthogonalize(x).float()
    for before, after in zip(x, y, strict=True):
        values = np.linalg.svd(after.double().numpy(), compute_uv=False)
        assert values.min() > 0.5 and values.max() < 1.35
        # The directions are those of the exact answer, U V^T.
        u, _, vt = np.linalg.svd(before.double().numpy(), full_matrices=False)
        exact = u @ vt
        cosine = (after.double().numpy() * exact).sum() / np.linalg.norm(exact)
        assert cosine / np.linalg.norm(after.double().numpy()) > 0.97


@pytest.mark.parametrize("shape", [(5, 8, 8), (3, 16, 8), (3, 8, 16)])
def test_orthogonalize_in_parts_is_the_same(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    whole = orthogonalize(x, dtype=torch.float32)
    monkeypatch.setattr(optimizers, "CACHED", 128)
    torch.testing.assert_close(orthogonalize(x, dtype=torch.float32), whole)


def test_muon_is_the_formula() -> None:
    """Momentum, Nesterov, orthogonalised squares, the tall factor, decay: piece by piece."""
    shapes = [(32, 8), (32, 8), (8, 8), (8, 20), (20, 8)]
    g = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(s, generator=g)) for s in shapes]
    expected = [p.detach().clone() for p in parameters]
    momentum = [torch.zeros(s) for s in shapes]
    named = {str(i): p for i, p in enumerate(parameters)}
    muon = Muon(named, OptimizerConfig(muon_lr=0.1, weight_decay=0.2, momentum=0.9))
    for step in range(4):
        random_grads(parameters, step)
        for i, p in enumerate(parameters):
            assert p.grad is not None
            momentum[i] = 0.9 * momentum[i] + 0.1 * p.grad
            expected[i] *= 1 - 0.05 * 0.2
            rows, columns = p.shape
            high = columns if rows % columns == 0 else rows
            for top in range(0, rows, high):
                piece = slice(top, top + high)
                nesterov = 0.1 * p.grad[piece] + 0.9 * momentum[i][piece]
                update = orthogonalize(nesterov[None], dtype=torch.float32)[0]
                expected[i][piece] -= 0.05 * max(1, high / columns) ** 0.5 * update
        muon.step(0.5)
    for p, e in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.detach(), e, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_steps_too_small_for_bf16_add_up(name: str) -> None:
    """A step of about 0.0001 on a weight of 1 is lost in bf16; a hundred of them must not be."""
    model = build_model(ModelConfig(vocab_size=8, n_layer=1, n_embd=64))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    model.bfloat16()
    settings = OptimizerConfig(name=name, lr=1e-4, muon_lr=0.02)  # type: ignore[arg-type]
    optimizer = build_optimizer(model, settings)
    for _ in range(100):
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step(1.0)
    for parameter_name, p in model.named_parameters():
        assert p.dtype == torch.bfloat16
        assert (p < 1).all(), parameter_name


def test_each_parameter_has_one_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, dict[str, nn.Parameter]] = {}
    for name in ("Muon", "AdamW"):
        monkeypatch.setattr(
            optimizers, name, lambda parameters, _config, n=name: given.update({n: parameters})
        )
    model = build_model(ModelConfig(vocab_size=30, n_layer=2))
    model.get_parameter("norm.weight").requires_grad_(False)
    build_optimizer(model, OptimizerConfig())
    names = dict(model.named_parameters())
    muon, adam = (set(given[n]) for n in ("Muon", "AdamW"))
    assert all(names[name] is p for n in given for name, p in given[n].items())
    assert not muon & adam
    assert muon | adam == set(names) - {"norm.weight"}
    assert all(name.startswith("layers.") and "norm" not in name for name in muon)
    assert "embedding.weight" in adam


def test_every_parameter_is_trained() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=2, tie_embeddings=False))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    build_optimizer(model, OptimizerConfig()).step(1.0)
    for name, p in model.named_parameters():
        assert not torch.equal(p, before[name]), name


def test_a_tied_table_stays_one() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=1)).bfloat16()
    optimizer = build_optimizer(model, OptimizerConfig())
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    optimizer.step(1.0)
    table, head = model.get_parameter("embedding.weight"), model.get_submodule("unembedding").weight
    assert table is head and torch.equal(table, head)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_restored_optimizer_goes_on_to_the_last_bit(name: str, dtype: torch.dtype) -> None:
    config = OptimizerConfig(name=name, weight_decay=0.1)  # type: ignore[arg-type]
    shape = ModelConfig(vocab_size=30, n_layer=2, n_embd=32, tie_embeddings=False)
    one, other = (build_model(shape, seed=seed).to(dtype) for seed in (1, 2))
    first, second = build_optimizer(one, config), build_optimizer(other, config)
    for step in range(3):
        random_grads(list(one.parameters()), step)
        first.step(1.0)
    second.restore({key: tensor.clone() for key, tensor in first.state().items()})
    for step in range(3, 6):
        for model, optimizer in ((one, first), (other, second)):
            random_grads(list(model.parameters()), step)
            optimizer.step(0.5)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_state_is_named_by_parameter_and_has_its_shape() -> None:
    model = build_model(ModelConfig(vocab_size=30, n_layer=2, n_embd=32))
    state = build_optimizer(model, OptimizerConfig()).state()
    kinds = {key.partition(".")[0] for key in state}
    assert kinds == {"master", "momentum", "mean", "square", "steps"}
    for name, parameter in model.named_parameters():
        assert torch.equal(state[f"master.{name}"], parameter)
        assert f"momentum.{name}" in state or f"mean.{name}" in state
