"""The torch runner against the model called by hand, and pasts as the engine handles them."""

import numpy as np
import pytest
import torch

from penjing.core.errors import GenerationError
from penjing.generate.runners.runner import Chunk
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.model.families import FAMILIES


def expected(model, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids]))[0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_the_last_n(family, tiny_model):
    model = tiny_model(family)
    runner = TorchRunner(model)
    one, other = runner.new_past(30), runner.new_past(30)
    first = runner.forward([Chunk(one, [1, 2, 3], 0), Chunk(other, [9, 8], 2)])
    assert first[0].logits.shape == (0, 257) and one.length == 3
    np.testing.assert_allclose(first[1].logits, expected(model, [9, 8]), atol=1e-5)
    second = runner.forward([Chunk(other, [7], 1), Chunk(one, [4, 5], 2)])
    np.testing.assert_allclose(second[0].logits, expected(model, [9, 8, 7])[2:], atol=1e-5)
    np.testing.assert_allclose(second[1].logits, expected(model, [1, 2, 3, 4, 5])[3:], atol=1e-5)
    assert all(scores.logits.dtype == np.float32 for scores in (*first, *second))


@pytest.mark.parametrize("family", FAMILIES)
def test_pasts_are_resized_forked_and_trimmed(family, tiny_model):
    model = tiny_model(family)
    runner = TorchRunner(model)
    past = runner.new_past(6)
    runner.forward([Chunk(past, [1, 2, 3, 4, 5, 6], 0)])
    twin = past.fork(4, 9)
    past.resize(8)
    assert (past.length, past.capacity) == (6, 8) and (twin.length, twin.capacity) == (4, 9)
    assert past.fork().capacity == 8
    said = runner.forward([Chunk(past, [7], 1), Chunk(twin, [5, 7], 1)])
    got = [scores.logits for scores in said]
    np.testing.assert_allclose(got[0], expected(model, [1, 2, 3, 4, 5, 6, 7])[-1:], atol=1e-5)
    np.testing.assert_allclose(got[1], expected(model, [1, 2, 3, 4, 5, 7])[-1:], atol=1e-5)
    past.trim(2)
    past.resize(3)
    (scores,) = runner.forward([Chunk(past, [3], 1)])
    np.testing.assert_allclose(scores.logits, expected(model, [1, 2, 3])[-1:], atol=1e-5)
    with pytest.raises(ValueError, match="3 positions are filled"):
        past.resize(2)
    with pytest.raises(GenerationError, match="do not fit"):
        runner.forward([Chunk(past, [4], 1)])


@pytest.mark.parametrize("family", FAMILIES)
def test_bytes_per_token_are_what_a_past_takes(family, tiny_model):
    runner = TorchRunner(tiny_model(family))
    assert runner.new_past(50).nbytes == 50 * runner.bytes_per_token


def test_it_leaves_the_model_as_it_was(tiny_model):
    model = tiny_model(dropout=0.5).train()
    runner = TorchRunner(model)
    rows = [runner.forward([Chunk(runner.new_past(3), [1, 2], 1)])[0].logits for _ in range(2)]
    assert model.training and not torch.is_inference_mode_enabled()
    np.testing.assert_array_equal(rows[0], rows[1])
    model.eval()


def test_its_name_tells_precision_and_place(tiny_model):
    assert TorchRunner(tiny_model().to(torch.bfloat16)).name == "torch (bfloat16, cpu)"
    tiny_model().to(torch.float32)
