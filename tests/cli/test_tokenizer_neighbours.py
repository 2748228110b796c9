"""`penjing tokenizer neighbours`: the table against torch's own cosines."""

import io
import re

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

ROW = re.compile(r"^ *(-?\d+\.\d+) +(\d+)  (\S+)$", re.MULTILINE)


@pytest.fixture
def neighbours(penjing, model_dir):
    return lambda *words: penjing("tokenizer", "neighbours", *words, "--model", str(model_dir))


def test_they_are_the_nearest_by_cosine(neighbours, model_dir):
    table = AutoModelForCausalLM.from_pretrained(model_dir).get_input_embeddings().weight.detach()
    wanted = F.cosine_similarity(table, table[ord("q")][None]).topk(6)
    result = neighbours("q", "--n", "5")
    rows = ROW.findall(result.out)
    assert result.code == 0 and f"q  id {ord('q')}" in result.out
    assert [int(id) for _, id, _ in rows] == wanted.indices[1:].tolist()
    assert [float(score) for score, _, _ in rows] == pytest.approx(wanted.values[1:], abs=6e-4)


def test_each_token_of_a_text(neighbours):
    out = neighbours("今", "--n", "2").out
    assert [line for line in out.splitlines() if "  id " in line and line.startswith("\\x")] == [
        f"\\x{byte:02X}  id {byte}" for byte in "今".encode()
    ]


def test_a_token_by_its_number(neighbours):
    assert "␣  id 32" in neighbours("--id", "32", "--table", "head", "--centred").out
    missing = neighbours("--id", "999")
    assert missing.code == 1 and "There is no token 999" in missing.err


def test_other_measures(neighbours, model_dir):
    table = AutoModelForCausalLM.from_pretrained(model_dir).get_input_embeddings().weight.detach()
    near = (table - table[97]).norm(dim=1).argsort()[1:4].tolist()
    rows = ROW.findall(neighbours("a", "--n", "3", "--measure", "distance").out)
    assert [int(id) for _, id, _ in rows] == near
    products = (table @ table[97]).index_fill(0, torch.tensor(97), -torch.inf)
    rows = ROW.findall(neighbours("a", "--n", "3", "--measure", "dot").out)
    assert [int(id) for _, id, _ in rows] == products.topk(3).indices.tolist()


def test_what_is_asked_for_must_be_clear(neighbours, penjing):
    assert neighbours().code == 2
    assert neighbours("a", "--id", "3").code == 2
    assert neighbours("a", "--n", "0").code == 2
    assert penjing("tokenizer", "neighbours", "a", "--model", "none").code == 1


def test_an_empty_standard_input_has_no_neighbours(neighbours, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    result = neighbours("-")
    assert result.code == 1 and "no token: it is empty" in result.err
