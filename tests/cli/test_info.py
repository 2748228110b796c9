"""`penjing info`."""

import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from penjing.version import __version__


def rows(text: str) -> dict[str, str]:
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def test_machine(penjing, monkeypatch, tmp_path):
    monkeypatch.setenv("PENJING_CACHE", str(tmp_path / "cache"))
    shown = rows(penjing("info").out)
    assert shown["penjing"] == __version__ and shown["torch"] == torch.__version__
    assert shown["corpora"] == str(tmp_path / "cache")
    assert shown["bfloat16"].split(":")[0] in ("fast", "slow")


def test_help_says_what_it_shows_without_a_directory(penjing):
    assert "(default: this machine)" in penjing("info", "--help").out


def test_model(penjing, model_dir):
    result = penjing("info", str(model_dir))
    shown = rows(result.out)
    n = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(model_dir).parameters())
    assert result.code == 0 and shown["parameters"] == f"{n:,}"
    assert shown["family"] == "qwen3" and shown["context_length"] == "64"
    assert "byte, 257 tokens" in shown["tokenizer"]
    assert "model.safetensors" in result.out
    assert f"Lineage 1: pretrain, by penjing {__version__}" in result.out
    assert shown["loss"] == "1.2500" and shown["data"].startswith("SHA-256 abab")


def test_a_run_directory_is_its_model(penjing, model_dir, tmp_path):
    shutil.copytree(model_dir, tmp_path / "run" / "model")
    assert rows(penjing("info", "run").out)["model"] == "run/model"


@pytest.mark.parametrize("name", ["model.safetensors", "generation_config.json"])
def test_a_damaged_file_is_said(penjing, model_dir, tmp_path, name):
    shutil.copytree(model_dir, tmp_path / "run")
    raw = (model_dir / name).read_bytes()
    (tmp_path / "run" / name).write_bytes(raw[: len(raw) // 2])
    result = penjing("info", "run")
    assert result.code == 1 and name in result.err


def test_errors(penjing, tmp_path):
    (tmp_path / "empty").mkdir()
    result = penjing("info", "empty")
    assert result.code == 1 and "config.json is missing" in result.err
