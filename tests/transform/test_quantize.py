"""Every scheme on every family: what is measured, stored and opened is the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from penjing.core.errors import CheckpointError, ConfigError
from penjing.data.batches import Tokens
from penjing.formats.opening import open_checkpoint
from penjing.model.activations import rounded_inputs
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import FamilyName
from penjing.model.saving import save_checkpoint
from penjing.quantization.scheme import SCHEMES
from penjing.transform.config import METHODS, Format, QuantizeConfig
from penjing.transform.mix import fixed_bits
from penjing.transform.quantize import Quantized, plan_for, quantize
from penjing.transform.save import check_format, weight_bytes, write

Make = Callable[..., Checkpoint]
FEW = {"windows": 8, "window": 32}
IDS = torch.randint(257, (2, 24), generator=torch.Generator().manual_seed(6))


def logits(done: Quantized) -> Tensor:
    """Of the model in memory, with rounded activations where the scheme has them."""
    with torch.no_grad(), rounded_inputs(done.model, done.inputs):
        return done.model.float()(IDS).clone()


def check_round_trip(
    source: Checkpoint, config: QuantizeConfig, text: Tokens, path: Path, form: Format
) -> Quantized:
    """Quantize, write, open: the logits agree, and nothing is unaccounted for."""
    done = quantize(source, config, text, form=form)
    expected = logits(done)
    write(done, source, path, form=form)
    assert torch.equal(logits(done), expected)  # writing it in another precision changes nothing
    opened = open_checkpoint(path)
    with torch.no_grad():
        again = opened.load_model(dtype=torch.float32)(IDS)
        original = source.load_model(dtype=torch.float32)(IDS)
    torch.testing.assert_close(again, expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(expected, original)
    stored = set(opened.weights())
    assert set(done.tensors) | set(done.kept) == stored
    assert not set(done.tensors) & set(done.kept)
    assert opened.lineage[-1].operation == "quantize"
    assert opened.lineage[-1].parent == source.digest
    assert opened.lineage[-1].settings["scheme"] == config.scheme
    return done


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_of_every_family(
    name: str, family: FamilyName, make: Make, text: Tokens, tmp_path: Path
) -> None:
    source = make(family, n_embd=128)  # all groups divide it
    form: Format = "gguf" if family == "gpt2" else "compressed-tensors"
    try:
        check_format(form, SCHEMES[name], source.config)
    except ConfigError:
        assert form == "gguf" and (name.startswith("uint8") or SCHEMES[name].activations)
        return
    table = "int8-g32" if form == "gguf" else "keep"
    config = QuantizeConfig(name, "rtn", table=table, **FEW)
    done = check_round_trip(source, config, text, tmp_path / "out.gguf", form)
    wanted = 8 if family == "gpt2" else 14  # q, k, v and gate, up are tensors of their own there
    assert len(done.tensors) == wanted + (form == "gguf")


@pytest.mark.parametrize("form", ["compressed-tensors", "gguf"])
@pytest.mark.parametrize("name", ["int4-g32", "int4-asym-g32", "int8"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method(
    method: str, name: str, form: Format, make: Make, text: Tokens, tmp_path: Path
) -> None:
    source = make("qwen3")
    config = QuantizeConfig(name, method, **FEW)
    done = check_round_trip(source, config, text, tmp_path / "out", form)
    assert bool(done.errors) == (METHODS[method].needs_text)


@pytest.mark.parametrize("method", ["rtn", "gptq", "awq"])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_in_bfloat16(
    family: FamilyName, method: str, make: Make, text: Tokens, tmp_path: Path
) -> None:
    """What is kept and the scales are bf16; norms that AWQ divides are rounded first."""
    source = make(family, dtype=torch.bfloat16, attention_bias=family == "llama")
    config = QuantizeConfig("int4-g32", method, **FEW)
    check_round_trip(source, config, text, tmp_path / "out", "compressed-tensors")
    weights = Checkpoint.open(tmp_path / "out").weights()
    assert weights["model.norm.weight"].dtype == np.uint16  # bfloat16


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_calibrated_methods_beat_rounding(method: str, make: Make, text: Tokens) -> None:
    source = make("qwen3")
    original = source.load_model()(IDS).log_softmax(-1)

    def divergence(how: str) -> float:
        config = QuantizeConfig("int4", how, windows=32, window=32)
        got = logits(quantize(source, config, text)).log_softmax(-1)
        return float((original.exp() * (original - got)).sum(-1).mean())

    assert divergence(method) < divergence("rtn")


def test_kept_by_name_and_joined_ones_together(make: Make) -> None:
    """q names k and v too, since engines compute them as one."""
    config = QuantizeConfig("int8", keep=("*layers.0.self_attn.q_proj", "*down_proj.weight"))
    done = quantize(make("llama"), config)
    first = "model.layers.0.self_attn"
    named = {f"{first}.{p}_proj.weight" for p in "qkv"}
    named |= {f"model.layers.{n}.mlp.down_proj.weight" for n in (0, 1)}
    assert {name for name, why in done.kept.items() if why == "named by --keep"} == named
    assert len(done.tensors) == 14 - len(named)


def test_awq_leaves_what_is_kept_as_it_is(make: Make, text: Tokens) -> None:
    """Scales of the output's inputs would go into the values, those of "down" into "up"."""
    source = make("llama")
    config = QuantizeConfig("int4", "awq", keep=("*v_proj", "*up_proj"), **FEW)
    done, before = quantize(source, config, text), source.load_model()
    for name in ("attention.qkv", "feed_forward.gate_up"):
        for layer in (0, 1):
            path = f"layers.{layer}.{name}.weight"
            assert torch.equal(done.model.get_parameter(path), before.get_parameter(path))


def test_a_tied_head_gets_a_matrix_of_its_own(make: Make, text: Tokens, tmp_path: Path) -> None:
    source = make("qwen3")
    assert source.config.tie_embeddings
    for method in ("rtn", "gptq"):
        config = QuantizeConfig("int4-g32", method, head="int8", **FEW)
        done = check_round_trip(source, config, text, tmp_path / method, "compressed-tensors")
        assert done.schemes["lm_head.weight"].name == "int8"
        assert not Checkpoint.open(tmp_path / method).config.tie_embeddings
        assert done.kept["model.embed_tokens.weight"] == "the table of embeddings"


def test_a_head_of_its_own(make: Make, text: Tokens, tmp_path: Path) -> None:
    source = make("llama", tie_embeddings=False)
    done = quantize(source, QuantizeConfig("int8"))
    assert done.kept["lm_head.weight"] == "the head: see --head"
    config = QuantizeConfig("int4-g32", "awq", head="int4-g32", **FEW)
    check_round_trip(source, config, text, tmp_path / "out", "compressed-tensors")


def test_a_table_in_gguf(make: Make, text: Tokens, tmp_path: Path) -> None:
    config = QuantizeConfig("int4-g32", "gptq", head="int8-g32", table="int8-g32", **FEW)
    done = check_round_trip(make("llama"), config, text, tmp_path / "one.gguf", "gguf")
    assert done.schemes["model.embed_tokens.weight"].name == "int8-g32"
    assert all(why.startswith("a vector") for why in done.kept.values())


def test_a_mix_within_a_budget(make: Make, text: Tokens, tmp_path: Path) -> None:
    source = make("qwen3")
    config = QuantizeConfig(bits=11, mix=("int4-g32", "int8"), **FEW)
    done = check_round_trip(source, config, text, tmp_path / "out", "compressed-tensors")
    used = {scheme.name for scheme in done.schemes.values()}
    assert used == {"int4-g32", "int8"}
    n = source.load_model().n_parameters()
    kept = sum(source.weights()[name].size for name in done.kept)  # type: ignore[union-attr]
    bits = 32 * kept + sum(t.q.size * t.bits + t.scale.size * 32 for t in done.tensors.values())
    assert 10 < bits / n <= 11
    for name, row in done.divergences.items():
        assert row["int8"] < row["int4-g32"], name


def test_an_impossible_budget(make: Make, text: Tokens) -> None:
    config = QuantizeConfig(bits=3, mix=("int4-g32", "int8"), **FEW)
    source = make("qwen3")
    with pytest.raises(ConfigError, match=r"budget of 3 bits .* needs at least \d+\.\d+, of which"):
        quantize(source, config, text)
    with pytest.raises(ConfigError, match=r"needs no quantizing: the model has 32\.00"):
        quantize(source, replace(config, bits=32), text)


def test_a_mix_where_groups_fill_only_some_rows(make: Make, text: Tokens) -> None:
    """Rows of 48 have no groups of 32: they get another scheme of the mix, or are kept."""
    source = make("llama", n_embd=48, n_head=3, n_kv_head=3, n_inner=128)
    done = quantize(source, QuantizeConfig(bits=14, mix=("int4-g32", "int8"), **FEW), text)
    for name, scheme in done.schemes.items():
        assert scheme.name == "int8" or name.endswith("down_proj.weight"), name


def test_what_needs_a_text(make: Make) -> None:
    source = make()
    for method in ("gptq", "awq"):
        with pytest.raises(ConfigError, match=f"'{method}' needs a text .*--calibrate"):
            quantize(source, QuantizeConfig("int8", method))
    with pytest.raises(ConfigError, match="A budget of bits needs a text"):
        quantize(source, QuantizeConfig(bits=5))


def test_weights_that_are_not_finite(make: Make) -> None:
    source = make()
    model = source.load_model()
    model.get_parameter("layers.1.feed_forward.down.weight")[3, 5] = torch.nan
    path = source.path.with_name("broken")
    broken = save_checkpoint(path, model=model, tokenizer=source.tokenizer)
    with pytest.raises(CheckpointError, match=r"model\.layers\.1\.mlp\.down_proj\.weight holds 1 "):
        quantize(broken, QuantizeConfig())


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (QuantizeConfig("int5"), "Unknown quantization scheme 'int5'.*Did you mean"),
        (QuantizeConfig(method="gptk"), "Unknown quantization method 'gptk'.*Did you mean 'gptq'"),
        (QuantizeConfig(keep=("lm_heat",)), "matches 'lm_heat'"),
        (QuantizeConfig(keep=("*proj",)), "names every matrix"),
        (QuantizeConfig("int4-g128"), "has 64 columns.*groups of 128"),
        (QuantizeConfig(head="int3"), "Unknown quantization scheme 'int3'"),
        (QuantizeConfig(damping=2), "from 0 to 1"),
        (QuantizeConfig(windows=0), "At least one window"),
        (QuantizeConfig(bits=0), "above 0"),
    ],
)
def test_settings_that_cannot_be(
    config: QuantizeConfig, said: str, make: Make, text: Tokens
) -> None:
    with pytest.raises(ConfigError, match=said):
        quantize(make(), config, text)


def test_a_recurrent_model(make: Make) -> None:
    with pytest.raises(ConfigError, match="LSTM cannot be quantized"):
        quantize(make("lstm", n_head=0, n_kv_head=0, n_inner=0), QuantizeConfig())


def test_an_already_quantized_model(make: Make, tmp_path: Path, text: Tokens) -> None:
    """Its dequantized weights are the original."""
    source = make("llama")
    first = quantize(source, QuantizeConfig("int8"))
    write(first, source, tmp_path / "int8")
    again = Checkpoint.open(tmp_path / "int8")
    config = QuantizeConfig("int4-g32", "gptq", **FEW)
    check_round_trip(again, config, text, tmp_path / "int4", "compressed-tensors")
    lineage = Checkpoint.open(tmp_path / "int4").lineage
    assert [row.settings["scheme"] for row in lineage] == ["int8", "int4-g32"]


def test_rounded_inputs_of_the_original_end_with_it(make: Make, tmp_path: Path) -> None:
    source = make("llama")
    write(quantize(source, QuantizeConfig("w8a8")), source, tmp_path / "w8a8")
    again = Checkpoint.open(tmp_path / "w8a8")
    for name in ("int4-g32", "w8a8"):
        done = quantize(again, QuantizeConfig(name))
        expected = logits(done)
        write(done, again, tmp_path / name / "out")
        stored = Checkpoint.open(tmp_path / name / "out").load_model(dtype=torch.float32)
        torch.testing.assert_close(stored(IDS), expected, rtol=1e-5, atol=1e-5)


def test_odd_widths_in_gguf(make: Make) -> None:
    source = make("llama", n_embd=48, n_head=3, n_kv_head=3)
    with pytest.raises(ConfigError, match=r"blocks of 32 weights, and .* has rows of 48.*--keep"):
        quantize(source, QuantizeConfig("int8"), form="gguf")


@pytest.mark.parametrize("form", ["compressed-tensors", "gguf"])
@pytest.mark.parametrize("name", ["int8", "uint8-g64", "int4-tensor", "int4-asym", "w4a8-g32"])
def test_a_budget_counts_what_is_stored(
    name: str, form: Format, make: Make, tmp_path: Path
) -> None:
    """To the bit, whatever the precision of what is kept."""
    source = make("llama", dtype=torch.bfloat16, n_inner=192)
    try:
        check_format(form, SCHEMES[name], source.config)
    except ConfigError:
        return
    config = QuantizeConfig(name, table="int8" if form == "gguf" else "keep")
    done = quantize(source, config, form=form)
    write(done, source, tmp_path / "out", form=form)
    plan = plan_for(done.model, config, form, "bfloat16")
    _, numbers = weight_bytes(tmp_path / "out")
    assert fixed_bits(done.model, plan, [], 16) == 8 * numbers


def test_what_a_format_cannot_hold(make: Make) -> None:
    gpt2 = replace(make("qwen3").config, family="gpt2")
    with pytest.raises(ConfigError, match=r"Conv1D.*--format gguf"):
        check_format("compressed-tensors", SCHEMES["int8"], gpt2)
    with pytest.raises(ConfigError, match="These schemes fit it: int8"):
        check_format("gguf", SCHEMES["uint8"], gpt2)
    with pytest.raises(ConfigError, match="no rounded activations"):
        check_format("gguf", SCHEMES["w8a8"], gpt2)
