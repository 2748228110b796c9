"""Models of other forms as directories of ours, which `transformers` opens too."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from penjing.core.errors import StorageError
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.importing import import_checkpoint, stored_types
from penjing.formats.opening import open_checkpoint
from penjing.model.tensors import to_tensor

IDS = torch.tensor([[70, 3, 261, 44, 12, 101, 87, 5]])
KINDS = ("Q4_0", "F16", "Q8_0")


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3", "gpt2"])
def test_transformers_opens_what_was_a_gguf_file(make_gguf, tmp_path, arch):
    source = GgufCheckpoint.open(make_gguf(arch, KINDS, inner=64))
    made = import_checkpoint(source, tmp_path / "out")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert theirs.dtype == torch.float32
    ours = source.load_model()(IDS)
    torch.testing.assert_close(made.load_model()(IDS), ours, rtol=0, atol=0)
    torch.testing.assert_close(theirs(IDS).logits, ours, rtol=1e-4, atol=1e-4)
    text = "the man, the 床 an <|end|>"
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    wanted = source.tokenizer.encode(text, allow_special=True)
    assert tokenizer.encode(text, add_special_tokens=False) == wanted
    assert tokenizer.eos_token == "<|end|>"
    assert theirs.generation_config.eos_token_id == [260]


def test_lineage_says_where_it_comes_from(make_gguf, tmp_path):
    source = GgufCheckpoint.open(make_gguf("llama", KINDS, inner=64))
    (row,) = import_checkpoint(source, tmp_path / "out").lineage
    assert row.operation == "import" and row.parent == source.digest
    assert row.settings["source"] == "llama.gguf" and row.settings["dtype"] == "float32"
    types = {"Q4_0": 7, "F32": 5, "F16": 4, "Q8_0": 4}
    assert row.settings["types"] == stored_types(source) == types


@pytest.mark.parametrize(
    ("kinds", "dtype", "wanted"),
    [
        (("F16",), "auto", torch.float16),
        (("BF16",), "auto", torch.bfloat16),
        (("Q4_1",), "auto", torch.float32),
        (("Q4_1",), "bfloat16", torch.bfloat16),
        (("F32",), "float16", torch.float16),
    ],
)
def test_precision(make_gguf, tmp_path, kinds, dtype, wanted):
    source = GgufCheckpoint.open(make_gguf("llama", kinds, inner=64))
    made = import_checkpoint(source, tmp_path / "out", dtype)
    assert {to_tensor(array).dtype for array in made.weights().values()} == {wanted}
    assert json.loads((made.path / "config.json").read_text())["dtype"] == str(wanted)[6:]


def test_a_sharded_directory_of_transformers(make_gguf, tmp_path):
    import_checkpoint(GgufCheckpoint.open(make_gguf()), tmp_path / "tokenizer")
    config = LlamaConfig(
        vocab_size=262, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=64, eos_token_id=260,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    AutoTokenizer.from_pretrained(tmp_path / "tokenizer").save_pretrained(tmp_path / "hf")
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 2
    source = open_checkpoint(tmp_path / "hf")
    made = import_checkpoint(source, tmp_path / "out", "auto")
    assert [path.name for path in made.path.glob("*.safetensors")] == ["model.safetensors"]
    torch.testing.assert_close(made.load_model()(IDS), theirs(IDS).logits, rtol=1e-4, atol=1e-4)
    assert made.lineage[0].parent == source.digest


def test_nothing_is_overwritten(make_gguf, tmp_path):
    source = GgufCheckpoint.open(make_gguf())
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        import_checkpoint(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
