"""New rows are means of old ones; all else is as it was, and is not copied."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from penjing.model.base import LanguageModel
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import FAMILIES, build_model, rebuild
from penjing.model.vocabulary import extend_vocabulary

PIECES = [(3, 5), (7,), (), (1, 2, 2)]


def tiny(family: FamilyName = "qwen3", **more: Any) -> LanguageModel:
    sizes: dict[str, Any] = {"vocab_size": 20, "n_layer": 1, "n_embd": 16, "context_length": 8}
    return build_model(ModelConfig(family=family, **sizes | more), seed=1)


def expected_rows(table: torch.Tensor, first: int) -> torch.Tensor:
    t = table[:first].double()
    rows = [t[[3, 5]].mean(0), t[7], t.mean(0), (t[1] + 2 * t[2]) / 3]
    return torch.stack(rows).float()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_rows_are_means(family: FamilyName, tied: bool) -> None:
    model = tiny(family, tie_embeddings=tied)
    other = extend_vocabulary(model, 20, PIECES)
    assert other.config == replace(model.config, vocab_size=24)
    before, after = model.state_dict(), other.state_dict()
    assert list(before) == list(after)
    for name, tensor in before.items():
        if "embedding.weight" in name:
            assert after[name].shape == (24, 16)
            assert torch.equal(after[name][:20], tensor)
            torch.testing.assert_close(after[name][20:], expected_rows(tensor, 20))
        else:
            assert after[name].data_ptr() == tensor.data_ptr()
    same = after["embedding.weight"].data_ptr() == after["unembedding.weight"].data_ptr()
    assert same == tied


def test_old_logits_stay() -> None:
    model = tiny().eval()
    ids = torch.arange(8)[None]
    torch.testing.assert_close(
        extend_vocabulary(model, 20, PIECES).eval()(ids)[..., :20], model(ids)
    )


def test_padding_is_given_away_first() -> None:
    model = tiny()
    before = model.state_dict()["embedding.weight"].clone()
    other = extend_vocabulary(model, 18, PIECES[:1])
    table = other.state_dict()["embedding.weight"]
    assert other.config.vocab_size == len(table) == 20
    assert torch.equal(table[18], before[[3, 5]].mean(0))
    assert torch.equal(table[[*range(18), 19]], before[[*range(18), 19]])
    assert extend_vocabulary(model, 18, PIECES).config.vocab_size == 22
    assert torch.equal(model.state_dict()["embedding.weight"], before)  # the first model's own


def test_half_precision() -> None:
    model = tiny().bfloat16()
    table = extend_vocabulary(model, 20, PIECES).state_dict()["embedding.weight"]
    rows = expected_rows(model.state_dict()["embedding.weight"], 20)
    assert torch.equal(table[20:], rows.bfloat16())  # rounded once


def test_the_same_weights_in_another_frame() -> None:
    model = tiny()
    longer = rebuild(replace(model.config, context_length=16, dropout=0.5), model.state_dict())
    assert longer.config.context_length == 16 and longer.config.dropout == 0.5
    ids = torch.arange(8)[None]
    assert torch.equal(longer.eval()(ids), model.eval()(ids))
    with pytest.raises(RuntimeError, match="size mismatch"):
        rebuild(replace(model.config, vocab_size=21), model.state_dict())
