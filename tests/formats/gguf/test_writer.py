"""Our models as GGUF files: gguf reads them back, and llama.cpp computes the same."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from penjing.core.errors import CheckpointError, ConfigError, StorageError, TokenizerError
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.gguf.encode import header
from penjing.formats.gguf.writer import write_gguf
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.quantization.ggml import round_to_blocks
from penjing.quantization.tensor import QuantizedTensor
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

TEXT = ["the cat sat on the mat; 床前明月光，疑是地上霜。 " * 20]
LINEAGE = (Lineage("pretrain", data="ab" * 32, figures={"loss": 1.25}),)


def tokenizer_of(kind: str = "bpe"):
    return train_tokenizer(TEXT, TokenizerConfig(kind=kind, vocab_size=300))


def saved(path: Path, kind: str = "bpe", dtype=torch.float32, **settings) -> Checkpoint:
    """A model of ours with random weights, large enough to tell wrong positions from right ones."""
    tokenizer = tokenizer_of(kind)
    sizes = {
        "vocab_size": tokenizer.vocab_size,
        "context_length": 64,
        "n_layer": 2,
        "n_embd": 64,
        "n_head": 4,
        "n_kv_head": 2,
        "n_inner": 96,
    }
    if settings.get("family") == "gpt2":
        sizes["n_kv_head"] = 4
    model = build_model(ModelConfig(**(sizes | settings)), seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.4 if "norm" in name else 0.15
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    return save_checkpoint(path, model=model.to(dtype), tokenizer=tokenizer, lineage=LINEAGE)


def log_probs(checkpoint: Checkpoint, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        logits = checkpoint.load_model(dtype=torch.float32)(torch.tensor([ids]))[0, -1]
    return torch.log_softmax(logits, -1).numpy()


def check_against(server, checkpoint: Checkpoint) -> None:
    """llama.cpp's figures for the first beginning of a text for which it gives some."""
    found, ids = {}, checkpoint.tokenizer.encode(TEXT[0])[:24]
    assert server.encode(TEXT[0]) == checkpoint.tokenizer.encode(TEXT[0])
    while not found:
        ids = ids[:-1]
        found = server.log_probs(ids, checkpoint.config.vocab_size)
    assert len(ids) > 12 and len(found) == checkpoint.config.vocab_size
    theirs = np.array([found[id] for id in range(len(found))])
    atol = 4e-3 if checkpoint.config.family == "gpt2" else 5e-4
    np.testing.assert_allclose(log_probs(checkpoint, ids), theirs, atol=atol)


MODELS = [
    {},
    {"family": "gpt2", "tie_embeddings": False},
    {"family": "gpt2"},
    {"family": "llama", "attention_bias": True, "norm_eps": 1e-5},
    {"family": "llama", "tie_embeddings": False, "head_dim": 32, "rope_theta": 5e5},
    {"rope_scaling": "linear", "rope_factor": 4.0},
    {"rope_scaling": "ntk", "rope_factor": 4.0},
    {"rope_scaling": "yarn", "rope_factor": 4.0},
    {"family": "llama", "rope_scaling": "llama3", "rope_factor": 8.0, "rope_theta": 100.0,
     "rope_original_context": 256},
]  # fmt: skip


@pytest.mark.parametrize("settings", MODELS)
def test_llamacpp_computes_the_same(tmp_path, llamacpp, settings):
    checkpoint = saved(tmp_path / "model", **settings)
    written = write_gguf(checkpoint, tmp_path / "m.gguf", "F32")
    assert {w.how for w in written} == {"exact"} and {w.type for w in written} == {"F32"}
    check_against(llamacpp(tmp_path / "m.gguf"), checkpoint)


@pytest.mark.parametrize("scheme", ["F32", "F16", "Q8_0", "Q4_0", "Q4_1"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_llamacpp_writes_the_same_text(tmp_path, llamacpp, family, scheme):
    """Until two tokens nearly tie: llama.cpp rounds its inputs, where weights are quantized."""
    write_gguf(saved(tmp_path / "model", family=family), path := tmp_path / "m.gguf", scheme)
    back = GgufCheckpoint.open(path)
    ids = back.tokenizer.encode(TEXT[0])[:20]
    body = {"prompt": ids, "temperature": 0, "n_predict": 12, "return_tokens": True}
    theirs = llamacpp(path).ask("/completion", body | {"ignore_eos": True})["tokens"]
    model = back.load_model(dtype=torch.float32)
    assert len(theirs) == 12
    with torch.no_grad():
        best = model(torch.tensor([ids + theirs]))[0, len(ids) - 1 : -1].topk(2)
    margin = best.values[:, 0] - best.values[:, 1]
    near = (margin < {"F32": 1e-3, "F16": 0.01}.get(scheme, 0.5)).tolist()
    until = near.index(True) if True in near else 12
    assert theirs[:until] == best.indices[:until, 0].tolist()
    assert scheme != "F32" or until > 8


@pytest.mark.parametrize(
    "value",
    [
        *(0, 2**32 - 1, 2**32, 2**64 - 1, -1, -(2**63), 0.5, 1e300, float("inf"), True, False, "a"),
        *([1, -1], [2**31], [-(2**31) - 1, 3], [2**64 - 1], [0.5, 2], [1e300], [True, False]),
        *(["a", "床"], []),
    ],
    ids=str,
)
def test_values_of_any_size(tmp_path, value):
    """As gguf reads them: those of another's file may be any."""
    (tmp_path / "x.gguf").write_bytes(header({"key": value}, {}, 0))
    assert gguf.GGUFReader(tmp_path / "x.gguf").get_field("key").contents() == value


def test_what_gguf_reads_in_the_header(tmp_path):
    write_gguf(saved(tmp_path / "mine" / "model"), tmp_path / "m.gguf", "Q8_0")
    fields = gguf.GGUFReader(tmp_path / "m.gguf").fields
    read = {key: fields[key].contents() for key in fields}
    assert read["GGUF.version"] == 3 and read["general.architecture"] == "qwen3"
    assert read["general.name"] == "mine"
    assert read["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q8_0
    assert read["qwen3.context_length"] == 64 and read["qwen3.block_count"] == 2
    assert read["qwen3.attention.head_count_kv"] == 2 and read["qwen3.attention.key_length"] == 16
    assert read["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    assert read["tokenizer.ggml.add_bos_token"] is False
    assert len(read["tokenizer.ggml.tokens"]) == read["qwen3.vocab_size"] == 300


@pytest.mark.parametrize("settings", MODELS)
def test_there_and_back(tmp_path, settings):
    """What is read is what was written: configuration, weights, tokenizer, lineage."""
    checkpoint = saved(tmp_path / "model", **settings)
    write_gguf(checkpoint, tmp_path / "m.gguf", "F32")
    back = GgufCheckpoint.open(tmp_path / "m.gguf")
    theta = pytest.approx(checkpoint.config.rope_theta)  # a float32 there
    assert back.config == replace(checkpoint.config, rope_theta=theta)
    theirs = back.weights()
    for name, tensor in checkpoint.weights().items():
        assert theirs[name].dtype == tensor.dtype
        np.testing.assert_array_equal(theirs[name], tensor)
    assert back.tokenizer.encode(TEXT[0]) == checkpoint.tokenizer.encode(TEXT[0])
    assert back.tokenizer.eos_id == checkpoint.tokenizer.eos_id
    assert back.lineage == LINEAGE


@pytest.mark.parametrize("scheme", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_each_scheme_is_what_gguf_makes_of_the_weights(tmp_path, scheme, family):
    checkpoint = saved(tmp_path / "model", family=family)
    path = tmp_path / "m.gguf"
    plain, dense = tmp_path / "f32.gguf", {}
    write_gguf(checkpoint, plain, "F32")
    for tensor in gguf.GGUFReader(plain).tensors:
        dense[tensor.name] = np.array(tensor.data)
    written = {w.name: w for w in write_gguf(checkpoint, path, scheme)}
    table = "Q8_0" if scheme in ("Q4_0", "Q4_1") else scheme
    for tensor in gguf.GGUFReader(path).tensors:
        wanted = scheme if len(tensor.shape) == 2 else "F32"
        if tensor.name == "token_embd.weight":
            wanted = table
        if tensor.name == "position_embd.weight":
            wanted = "F32"
        assert tensor.tensor_type.name == wanted == written[tensor.name].type
        assert written[tensor.name].how == ("exact" if wanted == "F32" else "rounded")
        raw = gguf.quants.quantize(dense[tensor.name], tensor.tensor_type)
        np.testing.assert_array_equal(np.array(tensor.data).view(np.uint8), raw.view(np.uint8))
    model = checkpoint.load_model()(ids := torch.tensor([[5, 9, 80, 31, 7, 44, 60, 2]]))
    again = GgufCheckpoint.open(path).load_model(dtype=torch.float32)(ids)
    bound = {"F16": 0.01, "BF16": 0.1, "Q8_0": 0.1}.get(scheme, 1.2)
    assert (model - again).abs().mean() < bound * model.std()


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1"])
def test_blocks_are_kept_as_they_are(make_gguf, tmp_path, kind):
    """From one file to another, and with the rows of q and k turned back, byte for byte."""
    source = make_gguf("llama", (kind, "F16", "BF16"), inner=64)
    written = write_gguf(GgufCheckpoint.open(source), tmp_path / "m.gguf", "keep")
    assert {w.how for w in written} == {"exact"}
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(tmp_path / "m.gguf")
    tensors = {tensor.name: tensor for tensor in after.tensors}
    assert len(tensors) == len(before.tensors)
    for tensor in before.tensors:
        other = tensors[tensor.name]
        assert other.tensor_type == tensor.tensor_type
        np.testing.assert_array_equal(other.data, tensor.data)
    for key in before.fields:
        if key.startswith("tokenizer."):
            assert after.fields[key].contents() == before.fields[key].contents()


class Rounded(Checkpoint):
    """A model whose matrices are quantized in memory."""

    def __init__(self, plain: Checkpoint, make) -> None:
        super().__init__(plain.path, plain.config, plain.lineage)
        self._plain, self._make = plain, make

    def weights(self):
        out = dict(self._plain.weights())
        for name, tensor in out.items():
            if tensor.ndim == 2 and "embed" not in name:
                out[name] = self._make(tensor)
        return out


def symmetric(w: np.ndarray, group: int, bits: int, half: bool = True) -> QuantizedTensor:
    n, k = w.shape
    high = 2 ** (bits - 1) - 1
    scale = np.abs(w.reshape(n, k // group, group)).max(-1) / high
    scale = scale.astype(np.float16 if half else np.float32).astype(np.float32)
    q = np.rint(w.reshape(n, k // group, group) / scale[..., None]).clip(-high, high)
    return QuantizedTensor(q.reshape(n, k).astype(np.int8), scale, None, bits, group, "ours")


@pytest.mark.parametrize(
    ("make", "scheme", "types", "how"),
    [
        (lambda w: symmetric(w, 32, 4), "keep", {"Q4_0"}, "exact"),
        (lambda w: symmetric(w, 32, 4), "Q4_1", {"Q4_1"}, "exact"),
        (lambda w: symmetric(w, w.shape[1], 8), "keep", {"Q8_0"}, "exact"),
        (lambda w: symmetric(w, 32, 8, half=False), "Q8_0", {"Q8_0"}, "float16 scales"),
        (lambda w: round_to_blocks(w, "Q4_1"), "keep", {"Q4_1"}, "exact"),
        (lambda w: symmetric(w, 16, 4), "Q8_0", {"Q8_0"}, "rounded"),
        (lambda w: symmetric(w, 32, 8), "Q4_0", {"Q4_0"}, "rounded"),
        (lambda w: symmetric(w, 32, 4), "F32", {"F32"}, "exact"),
    ],
)
def test_what_we_quantized_keeps_its_values(tmp_path, make, scheme, types, how):
    checkpoint = Rounded(saved(tmp_path / "model", family="llama"), make)
    written = write_gguf(checkpoint, tmp_path / "m.gguf", scheme)
    back = GgufCheckpoint.open(tmp_path / "m.gguf").weights()
    for w in written:
        if ".attn_q." in w.name or ".ffn_down.weight" in w.name:
            assert w.type in types and w.how == how
            got, wanted = back[w.hf], checkpoint.weights()[w.hf].dequantize()
            got = got.dequantize() if isinstance(got, QuantizedTensor) else got
            if how == "exact":
                np.testing.assert_array_equal(got, wanted)
            elif how == "float16 scales":
                np.testing.assert_allclose(got, wanted, rtol=2**-10)
    assert Counter(w.how for w in written)[how] >= 14


def test_keep_says_what_fits_nowhere(tmp_path):
    checkpoint = Rounded(saved(tmp_path / "model"), lambda w: symmetric(w, 16, 4))
    with pytest.raises(CheckpointError, match=r"q_proj\.weight: ours fits none of GGUF's"):
        write_gguf(checkpoint, tmp_path / "m.gguf", "keep")
    assert not list(tmp_path.glob("*.gguf*")) and not list(tmp_path.glob(".m*"))


@pytest.mark.parametrize(
    ("settings", "scheme", "error", "said"),
    [
        ({}, "Q4_2", ConfigError, "Unknown GGUF type 'Q4_2'. Did you mean 'Q4_"),
        ({"family": "lstm"}, "F32", CheckpointError, "no lstm model"),
        ({"position": "alibi"}, "F32", CheckpointError, "position 'alibi'"),
        ({"family": "gpt2", "position": "rope"}, "F32", CheckpointError, "position 'rope'"),
        ({"attention_bias": True}, "F32", CheckpointError, "no biases in attention"),
        ({"n_inner": 80}, "Q8_0", CheckpointError, r"down_proj\.weight: Rows of 80 weights"),
        ({"kind": "char"}, "F32", TokenizerError, "kind 'char'"),
    ],
)
def test_what_cannot_be_written(tmp_path, settings, scheme, error, said):
    checkpoint = saved(tmp_path / "model", **settings)
    with pytest.raises(error, match=said):
        write_gguf(checkpoint, tmp_path / "m.gguf", scheme)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_bytes_are_a_tokenizer_of_llamacpp(tmp_path, llamacpp):
    checkpoint = saved(tmp_path / "model", kind="byte")
    write_gguf(checkpoint, tmp_path / "m.gguf", "F32")
    server = llamacpp(tmp_path / "m.gguf")
    for text in ("Hello, world!\n\n  x", "床前明月光", "é\t😀 "):
        assert server.encode(text) == checkpoint.tokenizer.encode(text)
    check_against(server, checkpoint)


def test_more_embeddings_than_tokens(tmp_path, llamacpp):
    checkpoint = saved(tmp_path / "model", vocab_size=320, family="llama")
    write_gguf(checkpoint, tmp_path / "m.gguf", "F32")
    assert GgufCheckpoint.open(tmp_path / "m.gguf").config.vocab_size == 320
    check_against(llamacpp(tmp_path / "m.gguf"), checkpoint)


def test_a_file_is_replaced_whole_and_a_folder_is_refused(tmp_path):
    checkpoint = saved(tmp_path / "model")
    (tmp_path / "m.gguf").write_text("old")
    write_gguf(checkpoint, tmp_path / "m.gguf", "Q8_0")
    assert (tmp_path / "m.gguf").read_bytes()[:4] == b"GGUF"
    with pytest.raises(StorageError, match="a folder stands there"):
        write_gguf(checkpoint, tmp_path / "model", "Q8_0")
