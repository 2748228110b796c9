"""The loss against NumPy in float64 and against transformers, and what it is measured on."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2LMHeadModel

from penjing.core.errors import DataError
from penjing.core.types import Document
from penjing.data.batches import Tokens, encode_documents
from penjing.evaluate import loss as loss_module
from penjing.evaluate.loss import LossReport, evaluate_loss
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

TEXT = "床前明月光，疑是地上霜。To be, or not to be."
BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))
TOKENS = encode_documents([Document(TEXT, "a"), Document("霜", "b")], BYTES)


def random_model(family: str = "gpt2", **sizes: object) -> LanguageModel:
    defaults = {"vocab_size": 257, "context_length": 16, "n_layer": 2, "n_embd": 32, "n_head": 4}
    model = build_model(ModelConfig(**({"family": family} | defaults | sizes)))
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    return model.eval()


def numpy_nats(model: LanguageModel, ids: list[int], context: int) -> float:
    """Window by window, target by target, in float64."""
    nats = 0.0
    for start in range(0, len(ids) - 1, context):
        window = ids[start : start + context + 1]
        with torch.no_grad():
            logits = model(torch.tensor([window[:-1]]))[0].double().numpy()
        top = logits.max(-1, keepdims=True)
        logprobs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        nats -= logprobs[np.arange(len(window) - 1), window[1:]].sum()
    return nats


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize(("context", "batch"), [(16, 2), (7, 1), (1, 100), (5, 3)])
def test_as_numpy_in_float64(family, context, batch):
    model = random_model(family)
    report = evaluate_loss(model, TOKENS, context_length=context, batch_size=batch)
    nats = numpy_nats(model, TOKENS.ids.tolist(), context)
    n = len(TOKENS.ids) - 1
    n_bytes = len((TEXT + "霜").encode())
    assert report.loss == pytest.approx(nats / n, rel=1e-5)
    assert report.perplexity == pytest.approx(math.exp(nats / n), rel=1e-4)
    assert report.bits_per_byte == pytest.approx(nats / math.log(2) / n_bytes, rel=1e-5)
    assert (report.n_tokens, report.n_bytes) == (n_bytes + 2 - 1, n_bytes)  # two end tokens


def test_as_transformers(tmp_path):
    model = random_model()
    save_checkpoint(tmp_path / "m", model=model, tokenizer=BYTES)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path / "m").eval()
    nats, n = 0.0, len(TOKENS.ids) - 1
    for start in range(0, n, 8):
        window = TOKENS.ids[start : start + 9][None]
        with torch.no_grad():
            nats += theirs(window, labels=window).loss.item() * (window.size(1) - 1)
    report = evaluate_loss(model, TOKENS, context_length=8, batch_size=4)
    assert report.loss == pytest.approx(nats / n, rel=1e-5)


def test_the_vocabulary_in_pieces_changes_nothing(monkeypatch):
    model = random_model()
    whole = evaluate_loss(model, TOKENS, context_length=8, batch_size=4)
    monkeypatch.setattr(loss_module, "CHUNK", 3 * 257)
    pieces = evaluate_loss(model, TOKENS, context_length=8, batch_size=4)
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-6)
    monkeypatch.setattr(loss_module, "CHUNK", 1)
    assert evaluate_loss(model, TOKENS, context_length=8, batch_size=4).loss == pytest.approx(
        whole.loss, rel=1e-6
    )


def test_log_softmax_is_float32_for_a_bfloat16_model():
    model = random_model().to(torch.bfloat16)
    ids = TOKENS.ids[:33]  # two whole windows
    report = evaluate_loss(model, Tokens(ids, 33, 1), context_length=16, batch_size=1)
    # The model's own bfloat16 logits, looked at in float64: only the log-softmax is compared.
    assert report.loss == pytest.approx(numpy_nats(model, ids.tolist(), 16) / 32, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_comes_back(training):
    model = random_model(dropout=0.5)
    expected = evaluate_loss(model, TOKENS, context_length=16, batch_size=2)
    model.train(training)
    assert evaluate_loss(model, TOKENS, context_length=16, batch_size=2) == expected
    assert all(module.training is training for module in model.modules())
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_the_mode_comes_back_after_an_error():
    model = random_model().train()
    beyond = Tokens(torch.tensor([1, 2, 999]), 3, 1)
    with pytest.raises(IndexError):
        evaluate_loss(model, beyond, context_length=4, batch_size=1)
    assert model.training


def test_training_goes_on_afterwards():
    model = random_model()
    evaluate_loss(model, TOKENS, context_length=16, batch_size=2)
    model(TOKENS.ids[None, :8]).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("ids", [[], [5]])
def test_nothing_to_predict(ids):
    with pytest.raises(DataError, match=f"has {len(ids)} tokens"):
        evaluate_loss(
            random_model(), Tokens(torch.tensor(ids), len(ids), 1), context_length=4, batch_size=1
        )


def test_only_empty_documents():
    empty = encode_documents([Document("", "a")] * 3, BYTES)
    with pytest.raises(DataError, match="0 bytes"):
        evaluate_loss(random_model(), empty, context_length=4, batch_size=1)


def test_a_broken_model_still_gets_a_report():
    assert LossReport.of(1e6, 10, 10).perplexity == math.inf
    lost = LossReport.of(math.nan, 10, 10)
    assert math.isnan(lost.loss) and math.isnan(lost.perplexity)
