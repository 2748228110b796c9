"""Norms against torch's own, dead neurons by hand, and the place of the first NaN."""

import math
from typing import Any

import pytest
import torch
from tests.train.broken import BadGradient
from torch import Tensor

from penjing.data.batches import Batch
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.train.health import by_part, dead_neurons, locate_nonfinite, look, weight_norms
from penjing.train.objectives import NextToken, Objective


def model(**shape: Any) -> LanguageModel:
    options: dict[str, Any] = {"n_layer": 2, "n_embd": 32, "n_head": 2, "context_length": 16}
    return build_model(ModelConfig(vocab_size=20, **options | shape), seed=2)


def batch(rows: int = 5) -> Batch:
    ids = torch.randint(20, (rows, 17), generator=torch.Generator().manual_seed(0))
    return Batch(ids[:, :-1], ids[:, 1:])


class Plain(Objective):
    """The next token's loss on the batch that is given."""

    def batch(self, step: int) -> Batch:
        return batch()

    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        return NextToken.loss(self, model, batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("tied", [True, False])
def test_norms_of_parts_are_those_of_their_tensors_together(tied: bool) -> None:
    m = model(tie_embeddings=tied)
    Plain().loss(m, batch()).backward()  # type: ignore[no-untyped-call]
    named = dict(m.named_parameters())
    norms = {n: p.grad.norm().item() for n, p in named.items() if p.grad is not None}
    gradients, weights = by_part(norms), weight_norms(m)
    parts = ["embedding", "layers.0", "layers.1", "norm", *([] if tied else ["unembedding"])]
    assert list(gradients) == list(weights) == parts
    inside = [p for n, p in named.items() if n.startswith("layers.1.")]
    for found, tensors in (
        (gradients, [p.grad for p in inside]),
        (weights, [p.detach() for p in inside]),
    ):
        whole = torch.cat([t.flatten() for t in tensors if t is not None])
        assert found["layers.1"] == pytest.approx(whole.norm().item(), rel=1e-5)
    assert math.hypot(*gradients.values()) == pytest.approx(math.hypot(*norms.values()))


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_dead_neurons(family: str) -> None:
    m = model(family=family)
    healthy = dead_neurons(m, batch())
    assert healthy == {"layers.0": 0, "layers.1": 0}
    feed_forward = m.get_submodule("layers.1.feed_forward")
    n = m.config.n_inner
    with torch.no_grad():
        if family == "gpt2":
            feed_forward.up.bias[: n // 4] = -20  # type: ignore[union-attr, index, operator]
        else:
            feed_forward.gate_up.weight[: n // 4] = 0  # type: ignore[union-attr, index, operator]
    m.train()
    assert dead_neurons(m, batch()) == {"layers.0": 0, "layers.1": 0.25}
    assert m.training
    with torch.no_grad():
        for name, parameter in m.named_parameters():
            if "feed_forward" in name:
                parameter.zero_()
    assert dead_neurons(m, batch()) == {"layers.0": 1, "layers.1": 1}


def test_a_neuron_that_one_token_wakes_is_alive() -> None:
    """In whatever part of a large batch that token stands."""
    m, awake = model(n_layer=1, context_length=512), iter([0, 0, 0, 1.0])

    def spoil(_module: object, _inputs: object, y: Tensor) -> Tensor:
        y = torch.zeros_like(y)
        y[0, 300, 2] = next(awake)  # only in the fourth part
        return y

    m.get_submodule("layers.0.feed_forward.activation").register_forward_hook(spoil)
    ids = torch.zeros(8, 512, dtype=torch.int64)
    assert dead_neurons(m, Batch(ids, ids)) == {"layers.0": 1 - 1 / m.config.n_inner}


def test_families_without_such_neurons_have_none() -> None:
    assert dead_neurons(model(family="lstm"), batch()) == {}


def test_a_look_is_the_fields_of_a_health_event() -> None:
    found = look(model(), {"embedding.weight": 3.0, "layers.0.norm1.weight": 4.0}, batch())
    assert list(found) == ["gradients", "weights", "dead"]
    assert found["gradients"] == {"embedding": 3.0, "layers.0": 4.0}
    assert look(model(), {"embedding.weight": math.nan}, batch())["gradients"] == {}


def test_a_weight() -> None:
    m = model()
    m.get_parameter("layers.1.attention.qkv.weight").data[3] = math.inf
    found = locate_nonfinite(m, Plain(), batch())
    assert (found.where, found.tensor) == ("weight", "layers.1.attention.qkv.weight")
    assert (found.layer, found.rows) == (1, ())
    assert str(found).startswith("The weight layers.1.attention.qkv.weight holds")


@pytest.mark.parametrize("family", ["qwen3", "gpt2", "lstm"])
def test_an_activation_of_some_rows(family: str) -> None:
    """Where token 7 stands in a row, the second layer overflows."""
    m, b = model(family=family), batch()
    b.inputs[b.inputs == 7] = 6
    b.inputs[[1, 3], 4] = 7
    marked: list[Tensor] = []

    def see(_module: object, inputs: tuple[Tensor, ...]) -> None:
        marked[:] = [(inputs[0] == 7).any(1)[:, None, None]]

    def overflow(_module: object, _inputs: object, y: Tensor) -> Tensor:
        return y.masked_fill(marked[0], math.inf)

    m.get_submodule("embedding").register_forward_pre_hook(see)
    m.get_submodule("layers.1.residual").register_forward_hook(overflow)
    found = locate_nonfinite(m, Plain(), b)
    assert (found.where, found.tensor, found.layer) == ("activation", "layers.1.residual", 1)
    assert found.rows == (1, 3)
    assert str(found).endswith("is the first that is not finite, in rows 2, 4 of the batch.")


class BadLoss(Plain):
    def loss(self, model: LanguageModel, batch: Batch) -> Tensor:
        loss = super().loss(model, batch)
        return loss * math.nan if (batch.inputs == 7).any() else loss


def test_a_loss() -> None:
    b = batch()
    b.inputs[b.inputs == 7] = 6
    b.inputs[2, 0] = 7
    found = locate_nonfinite(model(), BadLoss(), b)
    assert (found.where, found.tensor, found.layer, found.rows) == ("loss", "", None, (2,))


@pytest.mark.parametrize(
    ("point", "tensor", "layer"),
    [
        ("layers.0.residual", "layers.0.feed_forward.down.weight", 0),
        ("layers.1.feed_forward.activation", "layers.1.feed_forward.gate_up.weight", 1),
        ("layers.1.attention.output", "layers.1.attention.output.weight", 1),
        ("normed", "norm.weight", None),
    ],
)
def test_a_gradient(point: str, tensor: str, layer: int | None) -> None:
    """The forward pass is fine; going back, NaN begins at one point and spreads from there."""
    m = model()
    m.get_submodule(point).register_forward_hook(lambda _m, _i, y: BadGradient.apply(y))
    found = locate_nonfinite(m, Plain(), batch(2))
    assert (found.where, found.tensor, found.layer) == ("gradient", tensor, layer)
    assert found.rows == (0, 1)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """And the model, its gradients and the generators are as before; unused rows do no harm."""
    m, b = model(dropout=0.1), batch()
    b.targets[1] = -100
    m.train()
    weights = [p.clone() for p in m.parameters()]
    state = torch.get_rng_state()
    found = locate_nonfinite(m, Plain(), b)
    assert (found.where, found.rows) == ("together", ())
    assert "No row of the batch" in str(found)
    assert torch.equal(torch.get_rng_state(), state) and m.training
    assert all(p.grad is None for p in m.parameters())
    assert all(map(torch.equal, weights, m.parameters()))
