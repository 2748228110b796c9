"""RNN and LSTM: torch's kernel, our steps and NumPy in float64 say the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from penjing.core.errors import GenerationError
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.recurrent import Cell, LSTMCell, RNNCell
from penjing.model.trace import record, taps

Array = NDArray[np.float64]
both_cells = pytest.mark.parametrize("kind", [RNNCell, LSTMCell])
both_families = pytest.mark.parametrize("family", ["rnn", "lstm"])


def cell(kind: type[Cell], width: int = 12) -> Cell:
    generator = torch.Generator().manual_seed(2)
    made = kind(width)
    with torch.no_grad():
        for parameter in made.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
    return made


def some_input() -> torch.Tensor:
    return torch.randn(3, 17, 12, generator=torch.Generator().manual_seed(1))


def model(family: str) -> LanguageModel:
    config = ModelConfig(family=family, vocab_size=40, n_layer=2, n_embd=32, context_length=30)  # type: ignore[arg-type]
    return build_model(config).eval()


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def rnn_by_hand(x: Array, w: Array, b: Array, u: Array) -> Array:
    h = np.zeros(len(w))
    out = []
    for row in x:
        h = np.tanh(w @ row + b + u @ h)
        out.append([h])
    return np.array(out)


def lstm_by_hand(x: Array, w: Array, b: Array, u: Array) -> Array:
    """Gates in torch's order: input, forget, candidate, output."""
    n = len(w) // 4
    h, c = np.zeros(n), np.zeros(n)
    out = []
    for row in x:
        z = w @ row + b + u @ h
        i, f, o = sigmoid(z[:n]), sigmoid(z[n : 2 * n]), sigmoid(z[3 * n :])
        c = f * c + i * np.tanh(z[2 * n : 3 * n])
        h = o * np.tanh(c)
        out.append([h, c])
    return np.array(out)


@pytest.mark.parametrize(("kind", "by_hand"), [(RNNCell, rnn_by_hand), (LSTMCell, lstm_by_hand)])
def test_every_state_follows_the_formulas(kind: type[Cell], by_hand: Callable[..., Array]) -> None:
    made, x = cell(kind), some_input()
    got = made.steps(x, torch.zeros(3, kind.n_states, 12)).detach().double().numpy()
    w, b, u = (
        parameter.detach().double().numpy()
        for parameter in (made.input.weight, made.input.bias, made.recurrent.weight)
    )
    for row in range(3):
        np.testing.assert_allclose(got[row], by_hand(x[row].double().numpy(), w, b, u), atol=1e-5)


@both_cells
def test_torchs_own_module_is_the_oracle(kind: type[Cell]) -> None:
    made, x = cell(kind), some_input()
    theirs = (nn.RNN if kind is RNNCell else nn.LSTM)(12, 12, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(made.input.weight)
        theirs.weight_hh_l0.copy_(made.recurrent.weight)
        theirs.bias_ih_l0.copy_(made.input.bias)
        theirs.bias_hh_l0.zero_()
    torch.testing.assert_close(made(x, None, 0), theirs(x)[0], rtol=0, atol=1e-6)


@both_cells
def test_kernel_and_steps_have_the_same_gradients(kind: type[Cell]) -> None:
    made = cell(kind)
    gradients = []
    for form in (made.kernel, lambda x: made.steps(x, torch.zeros(3, kind.n_states, 12))[:, :, 0]):
        x = some_input().requires_grad_()
        made.zero_grad()
        form(x).square().sum().backward()
        gradients.append(
            [x.grad, *(p.grad.clone() for p in made.parameters() if p.grad is not None)]
        )
    assert len(gradients[0]) == 4
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@both_families
def test_who_listens_sees_every_state(family: str) -> None:
    ours, ids = model(family), torch.arange(20)[None]
    assert "layers.1.cell.states" in taps(ours)
    plain = ours(ids)
    with record(ours, "layers.*.cell.states") as seen:
        watched = ours(ids)
    n_states = 2 if family == "lstm" else 1
    assert seen["layers.1.cell.states"].shape == (1, 20, n_states, 32)
    torch.testing.assert_close(watched, plain, rtol=0, atol=1e-5)


@both_families
def test_positions_change_nothing(family: str) -> None:
    ours, ids = model(family), torch.arange(20)[None]
    assert torch.equal(ours(ids), ours(ids, positions=torch.arange(100, 120)))


@both_families
def test_the_cache_has_its_limits(family: str) -> None:
    ours, ids = model(family), torch.arange(5)[None]
    cache = ours.new_cache(capacity=6)
    ours(ids, cache=cache)
    with pytest.raises(GenerationError, match="holds 6 positions: 5 are filled and 5 more"):
        ours(ids, cache=cache)
    cache.trim(0)
    with pytest.raises(GenerationError, match=r"was made for 1 rows of torch\.float32"):
        ours(ids.expand(2, -1), cache=cache)
    with pytest.raises(GenerationError, match=r"brings 1 of torch\.bfloat16"):
        ours.bfloat16()(ids, cache=cache)
    assert cache.length == 0


def test_what_the_cache_holds_is_no_part_of_the_gradient() -> None:
    ours = model("lstm")
    cache = ours.new_cache()
    ours(torch.arange(5)[None], cache=cache)
    assert not cache.last(0, ours.embedding.weight[None]).requires_grad  # type: ignore[attr-defined]
