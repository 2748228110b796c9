"""Tiny models whose every token depends on the whole past, and the runners that compute them."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from penjing.generate.load import LoadedModel, load
from penjing.generate.runners.choice import choose_runner
from penjing.generate.runners.runner import Chunk, Runner
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.kernels.scores import Logits, Scores
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

SIZES = {"vocab_size": 257, "context_length": 64, "n_layer": 1, "n_embd": 16, "n_head": 2}


class RowRunner(TorchRunner):
    """Exact by brute force: every row is a call of its own."""

    exact = True

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model, piece=1)

    def forward(self, chunks: Sequence[Chunk]) -> list[Scores]:
        return [Scores(self._rows(chunk)) for chunk in chunks]

    def _rows(self, chunk: Chunk) -> Logits:
        last = len(chunk.ids) - chunk.n_logits
        each = [Chunk(chunk.past, [id], int(i >= last)) for i, id in enumerate(chunk.ids)]
        return np.concatenate([super(RowRunner, self).forward([row])[0].logits for row in each])


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    return train_tokenizer([], TokenizerConfig(kind="byte"))


def make_model(family: str = "llama", seed: int = 0, **sizes: object) -> LanguageModel:
    config = ModelConfig(**{"family": family} | SIZES | sizes)
    model = build_model(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., LanguageModel]:
    return make_model


def make_runner(kind: str, family: str = "llama", seed: int = 0, **sizes: object) -> Runner:
    """ "torch": in pieces of 8; "rows": exact; "kernels": our own, exact too."""
    model = make_model(family, seed, **sizes)
    if kind == "kernels":
        return kernel_runner(model)
    return RowRunner(model) if kind == "rows" else TorchRunner(model, piece=8)


def kernel_runner(model: LanguageModel) -> Runner:
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = save_checkpoint(Path(folder) / "m", model=model, tokenizer=tokenizer)
        runner = choose_runner(checkpoint, kernels="auto", threads=1)
    if not runner.exact:
        pytest.skip("no kernels for this machine")
    return runner


@pytest.fixture(scope="session")
def tiny_runner() -> Callable[..., Runner]:
    return make_runner


@pytest.fixture(params=["torch", "rows"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return make_runner(request.param)


@pytest.fixture
def exact_runner() -> Runner:
    return make_runner("rows")


@pytest.fixture(scope="session")
def smollm2() -> Iterator[LoadedModel]:
    """The package model, by the runner that this machine has for it."""
    model = load("smollm2")
    yield model
    model.close()
