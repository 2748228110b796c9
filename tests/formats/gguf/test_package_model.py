"""A real chat model, 135M parameters in Q4_1, against `transformers` and llama.cpp.

llama.cpp multiplies 4-bit weights by inputs that it rounds to 8 bits; we compute with the weights'
very values. So it is held to us twice: on a file of the same values in F16, where it rounds
nothing that matters, each of 500 positions must agree but for one in a hundred; and on the file
itself, where the rounding may only turn what nearly ties.
"""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penjing.data.corpora import load_corpus
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.gguf.writer import write_gguf
from penjing.formats.importing import import_checkpoint

pytestmark = pytest.mark.network

POSITIONS = 500
NEAR_TIE = 0.25  # nats between the first and the second, in which rounded inputs may turn them


@pytest.fixture(scope="module")
def checkpoint(smollm2) -> GgufCheckpoint:
    return GgufCheckpoint.open(smollm2)


@pytest.fixture(scope="module")
def model(checkpoint):
    return checkpoint.load_model()


@pytest.fixture(scope="module")
def ids(checkpoint) -> list[int]:
    """The beginning of a play."""
    text = load_corpus("shakespeare")[0].text[2000:6000]
    return checkpoint.tokenizer.encode(text)[:POSITIONS]


@pytest.fixture(scope="module")
def logits(model, ids) -> torch.Tensor:
    """(T, V): what comes after each beginning of the text."""
    with torch.no_grad():
        return model(torch.tensor([ids]))[0]


def test_transformers_on_the_dequantized_weights(checkpoint, ids, logits, tmp_path):
    import_checkpoint(checkpoint, tmp_path / "imported")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "imported")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "imported")
    ids, logits = ids[:200], logits[:200]
    text = checkpoint.tokenizer.decode(ids)
    assert tokenizer.encode(text, add_special_tokens=False) == ids
    with torch.no_grad():
        other = theirs(torch.tensor([ids])).logits[0]
    assert (logits - other).abs().max() < 1e-3
    p, q = torch.log_softmax(other.double(), -1), torch.log_softmax(logits.double(), -1)
    assert (p.exp() * (p - q)).sum(-1).mean() < 1e-4
    assert torch.equal(logits.argmax(-1), other.argmax(-1))


def first_choices(server, ids: list[int], n: int) -> np.ndarray:
    """llama.cpp's likeliest token after each beginning of a text; -1 where it gives none."""
    return np.array([next(iter(server.log_probs(ids[: i + 1], 1)), -1) for i in range(n)])


def test_llamacpp_on_the_same_values(checkpoint, ids, logits, llamacpp, tmp_path):
    write_gguf(checkpoint, tmp_path / "f16.gguf", "F16")
    theirs = first_choices(llamacpp(tmp_path / "f16.gguf", 1024), ids, POSITIONS)
    same = theirs == logits.argmax(-1).numpy()
    assert same.mean() >= 0.99


def test_llamacpp_on_the_same_file(smollm2, ids, logits, llamacpp):
    n = 200
    theirs = first_choices(llamacpp(smollm2, 1024), ids, n)
    best = logits[:n].topk(2)
    same = theirs == best.indices[:, 0].numpy()
    clear = (best.values[:, 0] - best.values[:, 1]).numpy() > NEAR_TIE
    assert same[clear].mean() >= 0.99 and clear.mean() > 0.6
    assert same.mean() > 0.9


def test_greedy_text_is_llamacpps_until_the_first_near_tie(smollm2, checkpoint, model, llamacpp):
    server = llamacpp(smollm2, 1024)
    for prompt in ("The capital of France is", "Water boils when", "def fibonacci(n):"):
        ids = checkpoint.tokenizer.encode(prompt)
        body = {"prompt": ids, "temperature": 0, "n_predict": 24, "return_tokens": True}
        theirs = server.ask("/completion", body | {"cache_prompt": False})["tokens"]
        assert len(theirs) > 8
        with torch.no_grad():
            logits = model(torch.tensor([ids + theirs]))[0]
        for step, token in enumerate(theirs):
            best = logits[len(ids) - 1 + step].topk(2)
            if best.values[0] - best.values[1] < NEAR_TIE:
                break
            assert int(best.indices[0]) == token
        assert step >= 1
