"""`penjing import`."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from transformers import AutoModelForCausalLM


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Path:
    """The tiny model of these tests as a GGUF file, its embeddings in 8 bits."""
    from penjing.formats.gguf.writer import write_gguf
    from penjing.model.checkpoint import Checkpoint

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(Checkpoint.open(model_dir), path, "F16", table="Q8_0")
    return path


def test_a_gguf_file_becomes_a_directory(penjing, gguf_file):
    result = penjing("import", str(gguf_file), "--out", "made")
    assert result.code == 0, result.err
    assert "qwen3" in result.out and "1 x Q8_0" in result.out and "257 tokens" in result.out
    assert "penjing generate made" in result.out and "float32" in result.out
    assert AutoModelForCausalLM.from_pretrained("made").config.model_type == "qwen3"
    lineage = json.loads(Path("made/penjing.json").read_text())["lineage"]
    assert [row["operation"] for row in lineage] == ["pretrain", "import"]


def test_precision(penjing, gguf_file):
    assert penjing("import", str(gguf_file), "--out", "made", "--dtype", "bfloat16").code == 0
    assert json.loads(Path("made/config.json").read_text())["dtype"] == "bfloat16"


def test_a_directory(penjing, model_dir):
    result = penjing("import", str(model_dir), "--out", "made")
    assert result.code == 0 and "x F32" in result.out


def test_the_list_names_licences(penjing):
    result = penjing("import", "--list")
    assert result.code == 0 and "smollm2" in result.out and "Apache-2.0" in result.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "import --list` lists these"),
        (("x.gguf",), 2, "--out is missing"),
        (("x.gguf", "--out", "made"), 1, "There is no model directory x.gguf"),
        (("smollm", "--out", "made"), 1, "Did you mean 'smollm2'?"),
        (("damaged.gguf", "--out", "made"), 1, "damaged.gguf, tensor "),
        (("text.txt", "--out", "made"), 1, "text.txt is no GGUF file"),
        (("other.gguf", "--out", "made"), 1, "architecture 'mamba'"),
        (("whole.gguf", "--out", "taken"), 1, "taken exists already"),
        (("whole.gguf", "--out", "made", "--dtype", "int8"), 2, "int8"),
    ],
)
def test_bad_input(penjing, gguf_file, tmp_path, words, code, said):
    whole = gguf_file.read_bytes()
    (tmp_path / "whole.gguf").write_bytes(whole)
    (tmp_path / "damaged.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.txt").write_text("no model")
    (tmp_path / "taken").mkdir()
    writer = gguf.GGUFWriter(str(tmp_path / "other.gguf"), "mamba")
    writer.add_tensor("x", np.ones(3, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = penjing("import", *words)
    assert result.code == code and said in result.err
    assert not (tmp_path / "made").exists() and not list((tmp_path / "taken").iterdir())
