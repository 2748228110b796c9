"""AWQ: the folding changes nothing, and the search finds what rounding to nearest does not."""

import pytest
import torch
from torch import Tensor

from penjing.model.base import LanguageModel
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.quantization.scheme import parse_scheme
from penjing.transform.awq import clip, search_scale
from penjing.transform.hessian import Inputs, relative_error
from penjing.transform.matrices import fold_of, matrices, weight_of
from penjing.transform.rounder import Rounder


def loud_inputs(columns: int = 64, seed: int = 0) -> tuple[Tensor, Inputs]:
    """Weights of like size, and inputs of which the first four are a hundred times louder."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(48, columns, generator=generator)
    x = torch.randn(4000, columns, generator=generator)
    x[:, :4] *= 100
    return weight, Inputs(x.T @ x / 4000, x.abs().mean(0), 4000)


@pytest.mark.parametrize("name", ["int4", "int4-g32", "int4-asym-g32", "int8"])
def test_loud_channels_are_protected(name: str) -> None:
    weight, inputs = loud_inputs()
    rounder = Rounder(parse_scheme(name))
    plain = relative_error(rounder.nearest(weight), weight, inputs.hessian)
    scale = search_scale([(weight, rounder)], inputs)
    rounded = rounder.nearest(weight * scale) / scale
    assert relative_error(rounded, weight, inputs.hessian) < 0.8 * plain
    assert scale[:4].min() > 2 * scale[4:].max()


def test_nothing_to_gain_leaves_the_scales_alone() -> None:
    """All channels equally loud: the error is the same for all alphas, and the first is 0."""
    weight, _ = loud_inputs()
    inputs = Inputs(torch.eye(64), torch.ones(64), 1)
    scale = search_scale([(weight, Rounder(parse_scheme("int4-g32")))], inputs)
    assert torch.equal(scale, torch.ones(64))


def test_channels_that_share_a_scale() -> None:
    weight, inputs = loud_inputs()
    share = torch.arange(64) // 2 % 16
    scale = search_scale([(weight, Rounder(parse_scheme("int4")))], inputs, share)
    for number in range(16):
        assert len(scale[share == number].unique()) == 1
    assert len(scale.unique()) > 1


@pytest.mark.parametrize("name", ["int4", "int4-tensor", "int4-g32", "int4-asym-g32"])
def test_clipping_helps_where_an_outlier_is_never_heard(name: str) -> None:
    """One weight of each group is large and its input silent: its range is not worth keeping."""
    weight, _ = loud_inputs()
    weight[:, ::32] *= 4
    hessian = torch.eye(64)
    hessian[::32] = 0
    rounder = Rounder(parse_scheme(name))
    plain = relative_error(rounder.nearest(weight), weight, hessian)
    got = torch.from_numpy(clip(weight, hessian, rounder).dequantize())
    assert relative_error(got, weight, hessian) < 0.85 * plain


def test_clipping_is_rounding_to_nearest_where_nothing_is_gained() -> None:
    weight = torch.tensor([[127.0, -127.0, 64.0, 1.0]])
    rounder = Rounder(parse_scheme("int8"))
    assert clip(weight, torch.eye(4), rounder).q.tolist() == [[127, -127, 64, 1]]


def model_of(family: FamilyName) -> LanguageModel:
    config = ModelConfig(
        family=family,
        vocab_size=60,
        context_length=24,
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_kv_head=0 if family == "gpt2" else 2,
        attention_bias=family == "llama",
    )
    model = build_model(config, seed=2).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():  # norms and biases that are not 1 and 0
        parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_a_fold_leaves_the_logits_as_they_are(family: FamilyName) -> None:
    model = model_of(family)
    ids = torch.randint(60, (2, 24), generator=torch.Generator().manual_seed(1))
    before = model(ids)
    generator = torch.Generator().manual_seed(9)
    folded = 0
    for matrix in matrices(model):
        fold = fold_of(matrix, model)
        if fold is None:
            continue
        weight = weight_of(model, matrix.name)
        scale = torch.rand(weight.size(1), generator=generator) + 0.5
        if fold.rows is not None:  # channels from one row have one scale
            scale = (torch.rand(int(fold.rows.max()) + 1, generator=generator) + 0.5)[fold.rows]
        weight.data *= fold.apply(model, scale, torch.float32)
        folded += 1
    assert folded == (6 if family == "gpt2" else 8)  # GELU bends before the last matrix
    torch.testing.assert_close(model(ids), before, rtol=1e-4, atol=1e-5)
