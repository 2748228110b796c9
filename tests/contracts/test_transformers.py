"""The oracle: Hugging Face's own models, with the same random weights, in both directions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from penjing.core.types import SamplingParams
from penjing.generate.single import generate
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig, RopeScalingName
from penjing.model.families import build_model, with_context
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

SMALL: dict[str, Any] = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96}
ROPE: dict[str, Any] = {
    **SMALL,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
}
SCALED: dict[str, Any] = {"rope_theta": 1000.0, "factor": 4.0}
THEIRS: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=300,
            n_embd=64,
            n_layer=3,
            n_head=4,
            n_positions=128,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=None,
        )
    ),
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(**ROPE, num_key_value_heads=4, tie_word_embeddings=False)
    ),
    "llama-gqa-tied": lambda: LlamaForCausalLM(
        LlamaConfig(**ROPE, num_key_value_heads=2, tie_word_embeddings=True)
    ),
    "llama-biases-theta": lambda: LlamaForCausalLM(
        LlamaConfig(
            **ROPE,
            num_key_value_heads=1,
            attention_bias=True,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        )
    ),
    "qwen3": lambda: Qwen3ForCausalLM(
        Qwen3Config(**ROPE, num_key_value_heads=2, head_dim=32, tie_word_embeddings=True)
    ),
    "llama-linear": lambda: LlamaForCausalLM(
        LlamaConfig(**ROPE, rope_parameters={"rope_type": "linear", **SCALED})
    ),
    "llama3": lambda: LlamaForCausalLM(
        LlamaConfig(
            **ROPE,
            rope_parameters={
                "rope_type": "llama3",
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
                **SCALED,
            },
        )
    ),
    "qwen3-yarn": lambda: Qwen3ForCausalLM(
        Qwen3Config(
            **ROPE,
            num_key_value_heads=2,
            head_dim=32,
            rope_parameters={
                "rope_type": "yarn",
                "original_max_position_embeddings": 32,
                **SCALED,
            },
        )
    ),
    "qwen3-untied": lambda: Qwen3ForCausalLM(
        Qwen3Config(**ROPE, num_key_value_heads=4, head_dim=16, tie_word_embeddings=False)
    ),
}

OURS = {
    "gpt2": ModelConfig(family="gpt2", n_head=4),
    "gpt2-untied": ModelConfig(family="gpt2", n_head=4, tie_embeddings=False),
    "llama": ModelConfig(family="llama", n_head=4, tie_embeddings=False),
    "llama-gqa-tied": ModelConfig(family="llama", n_head=4, n_kv_head=2),
    "llama-theta": ModelConfig(family="llama", n_head=4, rope_theta=1e6, attention_bias=True),
    "qwen3": ModelConfig(family="qwen3", n_head=4, n_kv_head=2, head_dim=32),
    "llama-linear": ModelConfig(
        family="llama", n_head=4, rope_theta=100.0, rope_scaling="linear", rope_factor=3.5
    ),
    "llama-llama3": ModelConfig(
        family="llama", n_head=4, rope_scaling="llama3", rope_factor=8.0, rope_original_context=40
    ),
    "qwen3-yarn": ModelConfig(
        family="qwen3", n_head=4, head_dim=32, rope_scaling="yarn", rope_factor=4.0
    ),
    "qwen3-ntk": ModelConfig(family="qwen3", n_head=4, rope_scaling="ntk", rope_factor=4.0),
    "qwen3-untied": ModelConfig(family="qwen3", n_head=4, tie_embeddings=False, norm_eps=1e-5),
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    text = "春眠不覺曉，處處聞啼鳥。 Shall I compare thee to a summer's day? " * 20
    return train_tokenizer([text], TokenizerConfig(vocab_size=300))


def opinionated(config: ModelConfig) -> LanguageModel:
    """Weights large enough that every part of the model shows in the logits."""
    model = build_model(config, seed=11)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            std = 0.2 if parameter.ndim == 2 else 0.3
            noise = torch.randn(parameter.shape, generator=generator) * std
            parameter.copy_(noise + 1 if "norm" in name and name.endswith("weight") else noise)
    return model.eval()


def ids() -> torch.Tensor:
    return torch.randint(300, (2, 100), generator=torch.Generator().manual_seed(0))


def greedy(model: LanguageModel, tokenizer: Tokenizer, prompt: list[int], n: int) -> list[int]:
    params = SamplingParams(temperature=0, max_new_tokens=n)
    return [step.id for step in generate(model, tokenizer, prompt, params, stop_ids=())]


def compare(ours: LanguageModel, theirs: Any, tokenizer: Tokenizer) -> None:
    with torch.inference_mode():
        expected = theirs(ids()).logits
        assert (ours(ids()) - expected).abs().max() <= 1e-4
        assert expected.std() > 0.1  # the comparison says something
        prompt = ids()[:1, :20]
        theirs.generation_config.eos_token_id = None  # go on for all 64 tokens
        text = theirs.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=64, do_sample=False
        )
    assert greedy(ours, tokenizer, prompt[0].tolist(), 64) == text[0, 20:].tolist()


@pytest.mark.parametrize("name", THEIRS)
def test_theirs_to_ours(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = THEIRS[name]().eval()
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs")
    compare(Checkpoint.open(tmp_path / "theirs").load_model(), theirs, tokenizer)


@pytest.mark.parametrize("name", OURS)
def test_ours_to_theirs(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    sizes = {"vocab_size": 300, "n_embd": 64, "n_layer": 3, "context_length": 128}
    config = ModelConfig(**{**vars(OURS[name]), **sizes})
    ours = opinionated(config)
    save_checkpoint(tmp_path / "ours", model=ours, tokenizer=tokenizer)
    theirs, report = AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert type(theirs).__name__.lower().startswith(config.family)
    compare(ours, theirs.eval(), tokenizer)


def test_sharded_weights_are_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = THEIRS["qwen3"]().eval()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="100KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    ours = Checkpoint.open(tmp_path / "theirs").load_model()
    with torch.inference_mode():
        assert (ours(ids()) - theirs(ids()).logits).abs().max() <= 1e-4


def test_their_tokenizer_reads_ours(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = build_model(ModelConfig(vocab_size=300, n_layer=1))
    save_checkpoint(tmp_path / "ours", model=model, tokenizer=tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "ours")
    for text in ("春眠不覺曉 day\n\n", " leading", "𠮷👨‍👩‍👧", "<b>&amp; 'tis"):
        assert theirs(text)["input_ids"] == tokenizer.encode(text)
        assert theirs.decode(tokenizer.encode(text)) == text
    assert theirs.eos_token_id == tokenizer.eos_id


@pytest.mark.parametrize("scaling", ["linear", "ntk", "yarn", "llama3"])
def test_a_scaling_is_read_back_as_it_was_written(
    scaling: RopeScalingName, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    ours = opinionated(ModelConfig(vocab_size=300, n_layer=2, context_length=100))
    longer = with_context(ours, 400, scaling)
    save_checkpoint(tmp_path / "ours", model=longer, tokenizer=tokenizer)
    again = Checkpoint.open(tmp_path / "ours").load_model()
    assert torch.equal(again(ids()), longer(ids()))
    assert not torch.allclose(longer(ids()), ours(ids()))
    if scaling != "ntk":  # which is a larger theta to all others
        assert again.config == longer.config


def test_transformers_4s_names_for_scaling_are_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Qwen's own words for a longer context: no rope_parameters, "type" or "rope_type"."""
    theirs = THEIRS["qwen3-yarn"]().eval()
    theirs.save_pretrained(tmp_path / "theirs")
    file = tmp_path / "theirs" / "config.json"
    data = json.loads(file.read_text())
    rope = data.pop("rope_parameters")
    data["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    file.write_text(json.dumps(data | {"rope_scaling": rope}))
    ours = Checkpoint.open(tmp_path / "theirs").load_model()
    with torch.inference_mode():
        assert (ours(ids()) - theirs(ids()).logits).abs().max() <= 1e-4


@pytest.mark.parametrize(
    "form",
    [
        ModelConfig(position="alibi"),
        ModelConfig(family="gpt2", position="rope", rope_scaling="yarn", rope_factor=2.0),
        ModelConfig(family="rnn"),
        ModelConfig(family="lstm"),
    ],
)
def test_a_form_that_they_lack_is_refused_not_guessed(
    form: ModelConfig, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = build_model(replace(form, vocab_size=300, n_layer=1))
    save_checkpoint(tmp_path / "ours", model=model, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="penjing"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert Checkpoint.open(tmp_path / "ours").config == model.config
