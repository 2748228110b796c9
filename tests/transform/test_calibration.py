"""The walk through the layers gives each matrix what the whole model would give it."""

from collections.abc import Callable

import pytest
import torch

from penjing.core.errors import DataError
from penjing.data.batches import Tokens
from penjing.model.base import LanguageModel
from penjing.model.config import FamilyName
from penjing.transform import calibration
from penjing.transform.calibration import Walk, calibration_windows
from penjing.transform.matrices import matrices

Tiny = Callable[..., LanguageModel]


def test_windows_do_not_overlap_and_come_from_all_over() -> None:
    tokens = Tokens(torch.arange(1000), 1000, 1)
    windows = calibration_windows(tokens, 32, 10, seed=1)
    assert windows.shape == (10, 32)
    assert (windows[:, 0] % 32 == 0).all() and len(windows[:, 0].unique()) == 10
    assert windows[:, 0].max() > 500
    assert torch.equal(windows, calibration_windows(tokens, 32, 10, seed=1))
    assert not torch.equal(windows, calibration_windows(tokens, 32, 10, seed=2))
    assert len(calibration_windows(tokens, 32, 100)) == 31


def test_a_text_shorter_than_one_window() -> None:
    with pytest.raises(DataError, match="has 20 tokens, and one window has 32"):
        calibration_windows(Tokens(torch.arange(20), 20, 1), 32, 4)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_inputs_are_those_of_the_whole_model(
    family: FamilyName, text: Tokens, monkeypatch: pytest.MonkeyPatch, tiny: Tiny
) -> None:
    monkeypatch.setattr(calibration, "ROWS", 96)  # several batches, the last one smaller
    model = tiny(family)
    windows = calibration_windows(text, 32, 8)
    seen: dict[str, torch.Tensor] = {}
    names = [matrix.name for matrix in matrices(model)]
    for name in names:
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, given, name=name: seen.__setitem__(name, given[0].detach().flatten(0, 1))
        )
    logits = model(windows)
    expected = dict(seen)
    walk = Walk(model, windows)
    for layer in range(2):
        mine = [name for name in names if name.startswith(f"layers.{layer}.")]
        together = walk.inputs(mine)
        for name in mine:
            x = expected[name]
            for got in (together[name], walk.inputs([name])[name]):
                torch.testing.assert_close(got.hessian, x.T @ x / len(x), rtol=1e-4, atol=1e-4)
                torch.testing.assert_close(got.magnitude, x.abs().mean(0), rtol=1e-4, atol=1e-5)
                assert got.count == windows.numel()
        walk.step()
    normed = model.get_submodule("norm")(walk.hidden)
    torch.testing.assert_close(model.head(normed), logits, rtol=1e-4, atol=1e-4)
    x = normed.flatten(0, 1)
    torch.testing.assert_close(walk.head_inputs().hessian, x.T @ x / len(x), rtol=1e-4, atol=1e-4)


def test_a_layer_sees_what_the_layers_before_it_have_become(text: Tokens, tiny: Tiny) -> None:
    model = tiny()
    windows = calibration_windows(text, 32, 4)
    before = Walk(model, windows)
    before.step()
    walk = Walk(model, windows)
    model.get_submodule("layers.0.feed_forward.down").weight.data.zero_()
    walk.step()
    assert not torch.allclose(walk.hidden, before.hidden)


def test_nothing_listens_afterwards(text: Tokens, tiny: Tiny) -> None:
    model = tiny()
    walk = Walk(model, calibration_windows(text, 32, 2))
    walk.inputs(["layers.0.attention.qkv"])
    assert not any(module._forward_pre_hooks for module in model.modules())
