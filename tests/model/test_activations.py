"""Inputs rounded to int8, each token with its own scale; compressed-tensors is the judge."""

import logging
from pathlib import Path

import pytest
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.utils import compute_dynamic_scales_and_zp
from transformers import AutoModelForCausalLM

from penjing.core.errors import CheckpointError
from penjing.model.activations import quantize_inputs, round_to_int8
from penjing.model.compressed_saving import linear_names
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.forms import FORMS
from penjing.model.saving import save_checkpoint
from penjing.model.tensors import export_tensors
from penjing.quantization.rounding import quantize
from penjing.quantization.scheme import SCHEMES
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

CONFIG = ModelConfig(vocab_size=257, n_layer=2, n_embd=64, n_head=2, context_length=16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_as_compressed_tensors_does_it(dtype: torch.dtype) -> None:
    x = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 1] = 0
    x[1, 2, 7] = 1000
    args = QuantizationArgs(num_bits=8, strategy="token", dynamic=True)
    scale, zero = compute_dynamic_scales_and_zp(x, args, torch.nn.Identity())
    assert torch.equal(round_to_int8(x), fake_quantize(x, scale, zero, args))


def test_one_token_does_not_change_another() -> None:
    x = torch.randn(3, 64)
    louder = x.clone()
    louder[1] *= 1000
    assert torch.equal(round_to_int8(x)[[0, 2]], round_to_int8(louder)[[0, 2]])


@pytest.mark.parametrize("name", ["w8a8", "w4a8-g32"])
def test_in_transformers(tmp_path: Path, name: str) -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    model = build_model(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    tensors = export_tensors(model.state_dict(), FORMS["qwen3"].rules(model.config))
    names = linear_names(model.config)
    quantized = {n: quantize(tensors[n].detach().numpy(), SCHEMES[name]) for n in names}
    tokenizer = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))
    out = tmp_path / "m"
    checkpoint = save_checkpoint(
        out, model=model, tokenizer=tokenizer, quantized=quantized, activations=names
    )
    assert checkpoint.quantization is not None
    assert checkpoint.quantization.activations == set(names)
    assert set(checkpoint.quantization.schemes.values()) == {name}
    ours = checkpoint.load_model()
    theirs = AutoModelForCausalLM.from_pretrained(out).eval()
    ids = torch.randint(0, 257, (2, 9), generator=torch.Generator().manual_seed(2))
    seen: list[torch.Tensor] = []
    for layer in (
        ours.get_submodule("layers.0.attention.qkv"),
        theirs.model.layers[0].self_attn.q_proj,
    ):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        a, b, plain = ours(ids), theirs(ids).logits, model.eval()(ids)
    assert torch.allclose(seen[0][..., :64], seen[1], atol=1e-5)  # before any tie is broken
    assert (a - b).norm() < 0.3 * (a - plain).norm()
    hooks = ours.get_submodule("layers.0.attention.qkv")._forward_pre_hooks
    assert len(hooks) == 1


def test_some_of_what_reads_the_same_input() -> None:
    model = build_model(CONFIG)
    rules = FORMS["qwen3"].rules(model.config)
    with pytest.raises(CheckpointError, match=r"q_proj.* are quantized, but not those of .*k_proj"):
        quantize_inputs(model, rules, {"model.layers.0.self_attn.q_proj.weight"})
