"""Each matrix by itself, against the whole model computed anew."""

from collections.abc import Callable

import pytest
import torch

from penjing.data.batches import Tokens
from penjing.model.base import LanguageModel
from penjing.model.config import FamilyName
from penjing.quantization.scheme import parse_scheme
from penjing.transform.calibration import calibration_windows
from penjing.transform.matrices import matrices, weight_of
from penjing.transform.rounder import Rounder
from penjing.transform.sensitivity import Sensitivity

Tiny = Callable[..., LanguageModel]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_as_the_whole_model_says(family: FamilyName, text: Tokens, tiny: Tiny) -> None:
    model = tiny(family, tie_embeddings=False)
    windows = calibration_windows(text, 32, 3)
    rounder = Rounder(parse_scheme("int4"))
    sensitivity = Sensitivity(model, windows)
    original = model(windows).log_softmax(-1)
    found = matrices(model)
    assert found[-1].name == "unembedding"
    for matrix in found:
        got = sensitivity.measure(matrix, rounder)
        weight = weight_of(model, matrix.name)
        before = weight.data.clone()
        parts = [rounder.nearest(part) for part in matrix.split(before)]
        weight.data = torch.cat(parts)
        changed = model(windows).log_softmax(-1)
        weight.data = before
        expected = (original.exp() * (original - changed)).sum(-1).mean()
        assert got == pytest.approx(float(expected), rel=1e-3, abs=1e-6), matrix.name
    torch.testing.assert_close(model(windows).log_softmax(-1), original, rtol=0, atol=0)


def test_the_matrix_that_matters_is_found(text: Tokens, tiny: Tiny) -> None:
    """One matrix has an outlier that spoils the scale of all its weights."""
    model = tiny("llama")
    weight_of(model, "layers.1.attention.output").data[:, 0] *= 40
    sensitivity = Sensitivity(model, calibration_windows(text, 32, 4))
    rounder = Rounder(parse_scheme("int4"))
    costs = {m.name: sensitivity.measure(m, rounder) for m in matrices(model) if m.layer == 1}
    assert max(costs, key=costs.__getitem__) == "layers.1.attention.output"
