"""The table of rules between our tensors and theirs: one for both directions."""

import numpy as np
import pytest
import torch

from penjing.core.errors import CheckpointError
from penjing.model.config import FamilyName, ModelConfig, PositionName
from penjing.model.families import FAMILIES, build_model
from penjing.model.forms import FORMS
from penjing.model.tensor_files import Header
from penjing.model.tensors import export_tensors, import_tensors, to_array, to_tensor
from penjing.model.weights import Rule, check_headers
from penjing.quantization.floats import to_float32

RULES = [
    Rule("qkv", ("q", "k", "v"), (8, 3), rows=(4, 2, 2)),
    Rule("up", ("c_fc",), (2, 3), transpose=True),
]


def test_there_and_back() -> None:
    ours = {"qkv": torch.arange(24.0).view(8, 3), "up": torch.arange(6.0).view(2, 3)}
    theirs = export_tensors(ours, RULES)
    assert {name: tuple(t.shape) for name, t in theirs.items()} == {
        "q": (4, 3),
        "k": (2, 3),
        "v": (2, 3),
        "c_fc": (3, 2),
    }
    assert torch.equal(theirs["k"], ours["qkv"][4:6])
    again = import_tensors({name: to_array(t) for name, t in theirs.items()}, RULES)
    assert all(torch.equal(again[name], ours[name]) for name in ours)


def test_what_is_exported_is_independent() -> None:
    ours = {"qkv": torch.zeros(8, 3), "up": torch.zeros(2, 3)}
    theirs = export_tensors(ours, RULES)
    ours["qkv"] += 1
    assert theirs["q"].abs().max() == 0


def test_missing_and_unknown_tensors() -> None:
    headers = dict.fromkeys(("q", "k", "c_fc", "x.mask", "more"), Header((2, 2), "F32"))
    with pytest.raises(CheckpointError, match=r"1 missing \(v\)\. 1 unknown \(more\)"):
        check_headers(headers, RULES, (".mask",))


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("k", Header((3, 3), "F32"), r"k has the shape \(3, 3\), .* asks for \(2, 3\)"),
        ("v", Header((2, 9), "F32"), r"v has the shape \(2, 9\), .* asks for \(2, 3\)"),
        ("v", Header((), "F32"), r"v has the shape \(\)"),
        ("c_fc", Header((2, 3), "F32"), r"c_fc has the shape \(2, 3\), .* asks for \(3, 2\)"),
        ("q", Header((4, 3), "F8_E4M3"), "q is of type F8_E4M3"),
        ("q", Header((4, 3), "I8"), "q is of type I8"),
    ],
)
def test_a_shape_or_a_type_that_does_not_fit(name: str, header: Header, message: str) -> None:
    good = {"q": (4, 3), "k": (2, 3), "v": (2, 3), "c_fc": (3, 2)}
    headers = {n: Header(shape, "BF16") for n, shape in good.items()}
    check_headers(headers, RULES, ())
    with pytest.raises(CheckpointError, match=message):
        check_headers(headers | {name: header}, RULES, ())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("position", ["learned", "rope"])
def test_the_rules_name_each_of_our_tensors_once(
    family: FamilyName, tied: bool, position: PositionName
) -> None:
    sizes = {"n_head": 2, "n_embd": 60, "n_inner": 50, "context_length": 11}
    if family in ("llama", "qwen3"):
        sizes |= {"n_kv_head": 1, "head_dim": 18, "attention_bias": tied}
    config = ModelConfig(
        family=family, vocab_size=9, n_layer=2, tie_embeddings=tied, position=position, **sizes
    )  # type: ignore[arg-type]
    model = build_model(config)
    ours = {rule.ours: rule.shape for rule in FORMS[family].rules(model.config)}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if tied:
        del expected["unembedding.weight"]
    assert ours == expected
    assert len(ours) == len(FORMS[family].rules(model.config))


def test_every_family_has_its_form() -> None:
    assert list(FORMS) == list(FAMILIES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_arrays_are_the_same_numbers_in_the_same_memory(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[1.5, -2.0, 0.1]], dtype=dtype)
    array = to_array(tensor)
    again = to_tensor(array)
    assert again.dtype == dtype and torch.equal(again, tensor)
    assert again.data_ptr() == tensor.data_ptr()
    np.testing.assert_array_equal(to_float32(array), tensor.float().numpy())
    array.flags.writeable = False
    assert to_tensor(array).data_ptr() != tensor.data_ptr()
