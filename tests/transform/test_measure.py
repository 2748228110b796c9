"""Figures of a quantized model, against logits computed at once in float64."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from penjing.core.errors import DataError
from penjing.data.batches import Tokens
from penjing.evaluate.loss import evaluate_loss
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.model.activations import rounded_inputs
from penjing.model.base import LanguageModel
from penjing.model.config import FamilyName
from penjing.transform import measure
from penjing.transform.measure import Reference

Tiny = Callable[..., LanguageModel]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_against_logits_in_float64(
    family: FamilyName, text: Tokens, monkeypatch: pytest.MonkeyPatch, tiny: Tiny
) -> None:
    monkeypatch.setattr(measure, "ROWS", 96)
    monkeypatch.setattr(measure, "CHUNK", 257 * 20)
    original, other = tiny(family), tiny(family)
    for parameter in other.parameters():
        parameter += 0.004 * torch.randn(
            parameter.shape, generator=torch.Generator().manual_seed(4)
        )
    reference = Reference(original, text, window=32, limit=320)
    got = reference.compare(other)
    inputs, targets = text.ids[:320].view(10, 32), text.ids[1:321].view(10, 32)
    p, q = (m(inputs).double().log_softmax(-1) for m in (original, other))
    loss = F.nll_loss(q.flatten(0, 1), targets.flatten())
    before = F.nll_loss(p.flatten(0, 1), targets.flatten())
    assert got.perplexity.value == pytest.approx(float(loss.exp()), rel=1e-5)
    assert got.change.value == pytest.approx(float(loss - before), abs=1e-5)
    divergence = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    assert got.divergence.value == pytest.approx(float(divergence.mean()), rel=1e-3)
    same = (p.argmax(-1) == q.argmax(-1)).double().mean()
    assert got.agreement.value == pytest.approx(float(same))
    assert got.n_tokens == 320 and got.n_windows == 10
    assert got.change.half < got.perplexity.half / got.perplexity.value / 2  # paired: sharper


def test_the_original_beside_itself(text: Tokens, tiny: Tiny) -> None:
    model = tiny()
    itself = Reference(model, text, window=32, limit=10_000).itself
    assert itself.divergence.value == 0 and itself.agreement.value == 1
    whole = evaluate_loss(model, text, context_length=32, batch_size=4)
    assert itself.perplexity.value == pytest.approx(whole.perplexity, rel=1e-5)
    assert itself.n_tokens == whole.n_tokens


def test_rounded_inputs_only_where_they_belong(text: Tokens, tiny: Tiny) -> None:
    model = tiny()
    reference = Reference(model, text, window=32, limit=320)
    around = partial(rounded_inputs, model, ["layers.0.feed_forward.down"])
    assert 0 < reference.compare(model, around).divergence.value < 0.01
    assert reference.compare(model).divergence.value == 0


def test_a_runtime_that_computes_the_same(text: Tokens, tiny: Tiny) -> None:
    model = tiny()
    reference = Reference(model, text, window=32, limit=320)
    assert abs(reference.runtime(TorchRunner(model), model).value) < 1e-6
    other = tiny("qwen3", n_layer=1)
    assert reference.runtime(TorchRunner(other), model).value > 0.01


def test_nothing_to_predict(tiny: Tiny) -> None:
    with pytest.raises(DataError, match="at least two tokens"):
        Reference(tiny(), Tokens(torch.tensor([1]), 1, 1), window=32, limit=100)
