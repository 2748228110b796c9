"""What every model family keeps, with every position encoding: the tables are the test's input."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from penjing.core.errors import GenerationError
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import RECURRENT, FamilyName, ModelConfig, PositionName
from penjing.model.families import FAMILIES, build_model
from penjing.model.positions import POSITIONS
from penjing.model.saving import save_checkpoint
from penjing.model.trace import record
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import OptimizerConfig
from penjing.train.optimizers import build_optimizer

every_family = pytest.mark.parametrize("family", FAMILIES)
every_form = pytest.mark.parametrize(
    ("family", "position"),
    [
        (family, position)
        for family in FAMILIES
        for position in (["none"] if family in RECURRENT else POSITIONS)
    ],
)


def tiny(family: FamilyName, position: PositionName = "auto", **more: Any) -> LanguageModel:
    sizes: dict[str, Any] = {"n_layer": 2, "n_embd": 64, "n_head": 4}
    if family != "gpt2":
        sizes["n_kv_head"] = 2
    config = ModelConfig(
        family=family,
        vocab_size=260,
        context_length=48,
        position=position,
        **(sizes | more),
    )
    model = build_model(config, seed=3)
    # The initial weights are near zero, where every mistake is small: make the model opinionated.
    # Not a recurrence: applied once a token, it would grow the rounding errors without end.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "recurrent" not in name:
                parameter.mul_(8)
    return model.eval()


def some_ids(length: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(260, (batch, length), generator=torch.Generator().manual_seed(length))


@every_form
def test_no_token_sees_the_future(family: FamilyName, position: PositionName) -> None:
    model, ids = tiny(family, position), some_ids(40)
    changed = ids.clone()
    changed[:, 25:] = (changed[:, 25:] + 1) % 260
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :25], after[:, :25], rtol=0, atol=1e-5)
    assert (before[:, 25:] - after[:, 25:]).abs().amax() > 0.01


@every_form
def test_with_a_cache_as_without(family: FamilyName, position: PositionName) -> None:
    model, ids = tiny(family, position), some_ids(40)
    cache = model.new_cache(batch_size=2)
    pieces = [model(part, cache=cache) for part in ids.split([13, 1, 1, 20, 5], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids), rtol=0, atol=1e-4)
    assert cache.length == 40


@every_family
def test_a_cache_can_be_trimmed_and_forked(family: FamilyName) -> None:
    model, ids = tiny(family), some_ids(30)
    cache = model.new_cache(batch_size=2)
    model(ids[:, :20], cache=cache)
    twin = cache.fork()
    model(some_ids(10), cache=cache)  # another continuation
    cache.trim(20)
    expected = model(ids)[:, 20:]
    for past in (cache, twin):
        logits = model(ids[:, 20:], cache=past)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


@every_form
def test_order_is_seen_unless_there_is_no_encoding(
    family: FamilyName, position: PositionName
) -> None:
    """One layer of attention, without positions, is a bag of tokens: the past may be shuffled."""
    model = tiny(family, position, n_layer=1)
    if position in ("learned", "sinusoidal"):  # as strong as the tokens, so that it shows
        embed = model.position.embed
        model.position.embed = lambda x, p: x + 8 * (embed(x, p) - x)  # type: ignore[method-assign]
    ids = some_ids(12, batch=1)
    shuffled = ids[:, [*reversed(range(11)), 11]]
    difference = (model(ids)[:, -1] - model(shuffled)[:, -1]).abs().max()
    a_bag = position == "none" and family not in RECURRENT
    assert (difference < 1e-4) == a_bag


@every_form
def test_relative_positions_shift(family: FamilyName, position: PositionName) -> None:
    """Only the distance between tokens counts, not where they stand; but for absolute positions."""
    model, ids = tiny(family, position), some_ids(20)
    shifted = model(ids, positions=torch.arange(9, 29))
    difference = (shifted - model(ids)).abs().max()
    assert (difference < 2e-4) == (position in ("rope", "alibi", "none"))


@every_form
@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_loaded_is_the_same(
    family: FamilyName, position: PositionName, tied: bool, tmp_path: Path
) -> None:
    model = tiny(family, position, tie_embeddings=tied)
    tokenizer = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))
    save_checkpoint(tmp_path / "model", model=model, tokenizer=tokenizer)
    checkpoint = Checkpoint.open(tmp_path / "model")
    again = checkpoint.load_model()
    assert again.config == model.config
    assert set(again.state_dict()) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    model.requires_grad_(False)  # as loaded ones are: torch's RNN kernel rounds by that
    assert torch.equal(again(some_ids(30)), model(some_ids(30)))
    assert checkpoint.tokenizer.fingerprint == tokenizer.fingerprint


@every_family
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_one_batch_can_be_learned_by_heart(family: FamilyName, optimizer: str) -> None:
    config = ModelConfig(family=family, vocab_size=50, context_length=16, n_layer=2, n_embd=64)
    model = build_model(config, seed=1)
    ids = torch.randint(50, (4, 17), generator=torch.Generator().manual_seed(0))
    steps = build_optimizer(model, OptimizerConfig(name=optimizer, lr=0.01))  # type: ignore[arg-type]
    for _ in range(60):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        steps.step(1.0)
        for parameter in model.parameters():
            parameter.grad = None
    assert loss.item() < 0.1


@every_family
def test_the_same_seed_gives_the_same_weights(family: FamilyName) -> None:
    config = ModelConfig(family=family, vocab_size=50, n_layer=2)
    one, same, other = (build_model(config, seed=s).state_dict() for s in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])


@every_family
def test_dropout_is_everywhere_in_training_and_nowhere_else(family: FamilyName) -> None:
    model, ids = tiny(family, dropout=0.4), some_ids(24)
    assert torch.equal(model(ids), model(ids))
    model.train()
    with record(model, "embedded", "layers.*.residual", "logits") as seen:
        model(ids)
        first = dict(seen)
        model(ids)
        second = dict(seen)
    for name, value in first.items():
        assert not torch.equal(value, second[name]), name
    # Attention has its own: with that of the residual stream switched off, something varies. A
    # recurrence has none: what is dropped on the way from token to token would be forgotten.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert torch.equal(model(ids), model(ids)) == (family in RECURRENT)


@every_family
def test_a_cache_of_another_family_is_refused(family: FamilyName) -> None:
    other: FamilyName = "qwen3" if family in RECURRENT else "lstm"
    with pytest.raises(GenerationError, match=r"Make it with `model\.new_cache\(\)`"):
        tiny(family)(some_ids(3), cache=tiny(other).new_cache(batch_size=2))


@every_family
def test_bfloat16_on_this_device(family: FamilyName) -> None:
    """With gradients, without, and with a cache: near what float32 says."""
    model, ids = tiny(family), some_ids(24)
    expected = model(ids)
    model.bfloat16()
    logits = model(ids)
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.inference_mode():
        cache = model.new_cache(batch_size=2)
        pieces = [model(part, cache=cache) for part in ids.split([20, 4], dim=1)]
        for got in (logits, model(ids), torch.cat(pieces, dim=1)):
            assert got.dtype == torch.bfloat16
            assert (got.float() - expected).abs().mean() < 0.05 * expected.std()


@every_family
def test_a_batch_row_does_not_depend_on_the_others(family: FamilyName) -> None:
    model, ids = tiny(family), some_ids(24, batch=4)
    torch.testing.assert_close(model(ids)[2:3], model(ids[2:3]), rtol=0, atol=1e-5)
