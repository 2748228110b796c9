"""Models of all families, small and opinionated, and some text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from penjing.data.batches import Tokens
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import FamilyName, ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

Make = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def tiny() -> Callable[..., LanguageModel]:
    """tiny("llama", n_embd=96, ...): a model in memory."""
    return tiny_model


def tiny_model(family: FamilyName = "qwen3", **more: Any) -> LanguageModel:
    """Two layers of width 64; weights large enough that the text matters."""
    settings: dict[str, Any] = {"n_layer": 2, "n_embd": 64, "n_head": 4, "context_length": 32}
    if family != "gpt2":
        settings |= {"n_kv_head": 2, "n_inner": 128}
    model = build_model(ModelConfig(family=family, vocab_size=257, **(settings | more)), seed=3)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
            else:  # norms and biases that are not 1 and 0
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval().requires_grad_(False)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A checkpoint of a tiny model: make("llama", dtype=torch.bfloat16, n_embd=96, ...)."""

    def build(
        family: FamilyName = "qwen3", *, dtype: torch.dtype = torch.float32, **more: Any
    ) -> Checkpoint:
        tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
        model = tiny_model(family, **more).to(dtype)
        return save_checkpoint(tmp_path / "original", model=model, tokenizer=tokenizer)

    return build


@pytest.fixture
def text() -> Tokens:
    """Ids that come in runs, so that some are likelier than others: some 40 windows of 32."""
    generator = torch.Generator().manual_seed(0)
    starts = torch.randint(257, (130,), generator=generator)
    ids = (starts[:, None] + torch.arange(10)).flatten() % 257
    return Tokens(ids, len(ids), 1)
