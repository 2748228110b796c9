"""The table of rules between our tensors and theirs: one for both directions."""

import pytest
import torch

from penjing.core.errors import CheckpointError
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import FAMILIES, build_model
from penjing.model.tensor_files import Header
from penjing.model.weights import Rule, check_headers, export_tensors, import_tensors

RULES = [Rule("qkv", ("q", "k", "v"), rows=(4, 2, 2)), Rule("up", ("c_fc",), transpose=True)]


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
    again = import_tensors(theirs, RULES)
    assert all(torch.equal(again[name], ours[name]) for name in ours)


def test_what_is_exported_is_independent() -> None:
    ours = {"qkv": torch.zeros(8, 3), "up": torch.zeros(2, 3)}
    theirs = export_tensors(ours, RULES)
    ours["qkv"] += 1
    assert theirs["q"].abs().max() == 0


def test_missing_and_unknown_tensors() -> None:
    headers = dict.fromkeys(("q", "k", "c_fc", "x.mask", "more"), Header((2, 2), "F32"))
    with pytest.raises(CheckpointError, match=r"1 missing \(v\)\. 1 unknown \(more\)"):
        check_headers(headers, RULES, {}, (".mask",))


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
    shapes = {"qkv": (8, 3), "up": (2, 3)}
    check_headers(headers, RULES, shapes, ())
    with pytest.raises(CheckpointError, match=message):
        check_headers(headers | {name: header}, RULES, shapes, ())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_the_rules_name_each_of_our_tensors_once(family: FamilyName, tied: bool) -> None:
    model = build_model(ModelConfig(family=family, vocab_size=9, n_layer=2, tie_embeddings=tied))
    ours = [rule.ours for rule in FAMILIES[family].hf.rules(model.config)]
    expected = set(model.state_dict()) - ({"unembedding.weight"} if tied else set())
    assert len(ours) == len(set(ours)) and set(ours) == expected
