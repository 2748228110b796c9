"""`penjing quantize`: the table, the files, and what it says when something is wrong."""

import json
from dataclasses import replace

import pytest

from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

QUICK = ("--windows", "8", "--tokens", "400", "--no-speed")


pytestmark = pytest.mark.usefixtures("torch_alone")


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """One layer; all rows are multiples of 32."""
    tokenizer = train_tokenizer(["x"], TokenizerConfig(kind="byte"))
    config = ModelConfig(vocab_size=257, context_length=64, n_layer=1, n_embd=32, head_dim=16)
    model = build_model(replace(config, n_head=2, n_kv_head=2), seed=1)
    path = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(path, model=model, tokenizer=tokenizer)
    return path


def test_one_table_with_the_schemes_side_by_side(penjing, model_dir, text_file, tmp_path):
    words = ("--scheme", "int8", "int4-g32", "--method", "rtn", "gptq", "--out", "small")
    done = penjing(
        "quantize",
        str(model_dir),
        *words,
        "--calibrate",
        str(text_file),
        *QUICK,
        "--json",
        "f.json",
    )
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    header = next(n for n, line in enumerate(lines) if line.startswith("model"))
    for name in ("size", "bits/weight", "perplexity", "against original", "KL", "same top-1"):
        assert name in lines[header]
    names = [line.split()[0] for line in lines[header + 1 : header + 6]]
    assert names == ["original", "int8", "int8-gptq", "int4-g32", "int4-g32-gptq"]
    widths = {len(line) for line in lines[header : header + 6]}
    assert len(widths) == 1
    assert "7 tensors in int4-g32" in done.out
    assert (
        "1 tensor not quantized (the table of embeddings, the head too): model.embed_tokens"
        in done.out
    )
    assert "400 tokens in 7 windows" in done.out and "intervals are rough" in done.out
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in figures["rows"]] == names
    for row, line in zip(figures["rows"], lines[header + 1 :], strict=False):
        assert f"{row['bits_per_weight']:.2f}" in line
        assert f"{row['quality']['perplexity']['value']:.2f}" in line
    for name in names[1:]:
        assert Checkpoint.open(tmp_path / "small" / name).quantization is not None


def test_without_a_text(penjing, model_dir):
    done = penjing("quantize", str(model_dir), "--scheme", "int8", "--no-speed")
    assert done.code == 0
    assert "No text was named, so sizes and speeds alone are measured" in done.out
    assert "perplexity" not in done.out.partition("\nmodel ")[2].splitlines()[0]


def test_speeds_come_from_the_engine(penjing, model_dir):
    done = penjing("quantize", str(model_dir), "--scheme", "int8", "--threads", "1")
    assert done.code == 0
    assert "decode tok/s" in done.out and "original, int8: torch (float32, cpu)." in done.out
    assert "slowly" not in done.err


def test_a_budget(penjing, model_dir, text_file):
    words = ("--bits", "18", "--calibrate", str(text_file), "--out", "mix")
    done = penjing("quantize", str(model_dir), *words, *QUICK)
    assert done.code == 0, done.err
    row = next(line for line in done.out.splitlines() if line.startswith("mix-18"))
    size, bits = row.split()[1], float(row.split()[3])
    assert size and bits <= 18


def test_gguf(penjing, model_dir, tmp_path):
    words = ("--scheme", "int4-g32", "--format", "gguf", "--out", "tiny.gguf", "--no-speed")
    done = penjing("quantize", str(model_dir), *words)
    assert done.code == 0, done.err
    assert "1 tensor in int8-g32" in done.out  # the table, as llama.cpp does
    assert (tmp_path / "tiny.gguf").is_file()


def test_explain(penjing, model_dir, tmp_path):
    words = ("--explain", "layers.0.mlp.down_proj", "--report", "page.html")
    done = penjing("quantize", str(model_dir), *words)
    assert done.code == 0, done.err
    assert "int4-tensor" in done.out and "SQNR" in done.out
    assert "<html" in (tmp_path / "page.html").read_text(encoding="utf-8")
    one = penjing("quantize", str(model_dir), "--explain", "down_proj", "--scheme", "int8")
    assert "uint8" not in one.out
    none = penjing("quantize", str(model_dir), "--explain", "q_prof")
    assert none.code == 1 and "no tensor 'q_prof'" in none.err


def test_no_text_is_calibrated_and_evaluated_on(penjing, model_dir, tmp_path, text_file):
    """A document in both is calibrated on; one that is in both and nothing else is an error."""
    (tmp_path / "more.txt").write_text("Something else entirely, said once. " * 4)
    quantize = ("quantize", str(model_dir), "--scheme", "int8", *QUICK)
    both = ("--calibrate", str(text_file), "--evaluate", str(text_file), "more.txt")
    alone = ("--evaluate", "more.txt")
    tokens = [
        next(line for line in done.out.splitlines() if line.startswith("Measured on"))
        for done in (penjing(*quantize, *both), penjing(*quantize, *alone))
    ]
    assert tokens[0] == tokens[1]
    (tmp_path / "copy.txt").write_bytes(text_file.read_bytes())
    none = penjing(*quantize, "--calibrate", str(text_file), "--evaluate", "copy.txt")
    assert none.code == 2 and "is in the calibration text" in none.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scheme", "int9"), "Unknown quantization scheme 'int9'"),
        (("--method", "gptk"), "Did you mean 'gptq'"),
        (("--method", "gptq"), "needs a text to calibrate on"),
        (("--bits", "4"), "A budget of bits needs a text"),
        (("--keep", "lm_heat"), "matches 'lm_heat'"),
        (("--scheme", "int8-g64"), "groups of 64"),
        (("--report", "x.html"), "--report belongs to --explain"),
        (("--scheme", "uint8", "--format", "gguf"), "These schemes fit it"),
        (("--calibrate", "nothing.txt"), "no file or folder nothing.txt"),
        (("--explain", "q_prof"), "--out does not"),
        (("--tokens", "0", "--no-speed"), "At least one token"),
        (("--threads", "-1"), "got -1"),
    ],
)
def test_what_is_wrong_in_one_paragraph(penjing, model_dir, tmp_path, words, said):
    done = penjing("quantize", str(model_dir), "--out", "out", *words)
    assert done.code in (1, 2)
    assert said in done.err and "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_no_model(penjing):
    done = penjing("quantize", "nowhere")
    assert done.code == 1 and "nowhere" in done.err


def test_nothing_is_overwritten(penjing, model_dir, tmp_path):
    (tmp_path / "out").mkdir()
    done = penjing("quantize", str(model_dir), "--out", "out", "--no-speed")
    assert done.code == 1 and "exists already" in done.err
    (tmp_path / "f.json").write_text("mine")
    done = penjing("quantize", str(model_dir), "--json", "f.json", "--no-speed")
    assert done.code == 1 and (tmp_path / "f.json").read_text() == "mine"
