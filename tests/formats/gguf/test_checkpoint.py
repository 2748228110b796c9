"""GGUF files as models: llama.cpp, on the same file, computes the same."""

import math

import gguf
import numpy as np
import pytest
import torch

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.quantization.floats import to_float32
from penjing.quantization.tensor import QuantizedTensor

IDS = [70, 3, 261, 44, 12, 101, 87, 5, 33, 250, 9, 70, 3, 19]


def ours(checkpoint: GgufCheckpoint, ids: list[int]) -> np.ndarray:
    """Log-probabilities (V,) of the token after these."""
    with torch.no_grad():
        logits = checkpoint.load_model(dtype=torch.float32)(torch.tensor([ids]))[0, -1]
    return torch.log_softmax(logits, -1).numpy()


def check_against(server, checkpoint: GgufCheckpoint) -> None:
    """The first beginning of a text for which llama.cpp gives figures: ours are the same."""
    found, ids = {}, IDS
    while not found:
        ids = ids[:-1]
        found = server.log_probs(ids, 262)
    theirs = np.array([found[id] for id in range(262)])
    assert len(ids) > 8
    # llama.cpp looks gelu up in a table of float16.
    atol = 2e-3 if checkpoint.config.family == "gpt2" else 2e-4
    np.testing.assert_allclose(ours(checkpoint, ids), theirs, atol=atol)


ARCHITECTURES = [
    ("llama", {}),
    ("llama", {"kv": 4}),
    ("llama", {"head": 32}),
    ("qwen2", {}),
    ("qwen3", {}),
    ("gpt2", {"inner": 256}),
]


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize(("arch", "sizes"), ARCHITECTURES)
def test_llamacpp_computes_the_same(make_gguf, llamacpp, arch, sizes, untied):
    path = make_gguf(arch, untied=untied, **sizes)
    checkpoint = GgufCheckpoint.open(path)
    assert checkpoint.config.tie_embeddings is not untied and checkpoint.quantization is None
    check_against(llamacpp(path), checkpoint)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
@pytest.mark.parametrize("arch", ["llama", "gpt2"])
def test_blocks_are_turned_with_their_rows(make_gguf, arch, kind):
    """A quantized q or k stands for just what gguf makes of it, in Hugging Face's order of rows."""
    path = make_gguf(arch, (kind,), inner=64)
    checkpoint = GgufCheckpoint.open(path)
    dense = {t.name: t for t in gguf.GGUFReader(path).tensors}

    def values(name: str) -> np.ndarray:
        tensor = dense[name]
        shape = tuple(reversed([int(n) for n in tensor.shape]))
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)

    weights = checkpoint.weights()
    if arch == "gpt2":
        pairs = {"transformer.h.1.attn.c_attn.weight": values("blk.1.attn_qkv.weight")}
    else:
        q = values("blk.1.attn_q.weight").reshape(4, 8, 2, 64).swapaxes(1, 2).reshape(64, 64)
        k = values("blk.1.attn_k.weight").reshape(2, 8, 2, 64).swapaxes(1, 2).reshape(32, 64)
        pairs = {
            "model.layers.1.self_attn.q_proj.weight": q,
            "model.layers.1.self_attn.k_proj.weight": k,
            "model.layers.1.mlp.down_proj.weight": values("blk.1.ffn_down.weight"),
        }
    for name, wanted in pairs.items():
        weight = weights[name]
        if isinstance(weight, QuantizedTensor):
            got = weight.dequantize()
            assert weight.scheme == kind == checkpoint.quantization.schemes[name]
        else:
            got = to_float32(weight)
            got = got.T if arch == "gpt2" else got  # Hugging Face's floats are (K, N) there
        np.testing.assert_array_equal(got, wanted)


def test_what_is_quantized_is_listed(make_gguf):
    quantization = GgufCheckpoint.open(make_gguf("llama", ("Q4_0", "Q8_0", "F16"))).quantization
    assert quantization.method == "gguf"
    assert set(quantization.schemes.values()) == {"Q4_0", "Q8_0"}
    assert set(quantization.kept.values()) == {"F16", "F32"}
    assert len(quantization.schemes) + len(quantization.kept) == 20


def llama3_factors(theta: float, factor: float, trained: int, pairs: int = 8) -> np.ndarray:
    """As llama.cpp's converter has them, line by line."""
    out = []
    for i in range(pairs):
        wavelength = 2 * math.pi * theta ** (2 * i / (2 * pairs))
        low, high = trained / 1.0, trained / 4.0
        if wavelength < high:
            out.append(1.0)
        elif wavelength > low:
            out.append(factor)
        else:
            smooth = (trained / wavelength - 1.0) / (4.0 - 1.0)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


ROPES = [
    ({"llama.rope.freq_base": 500000.0}, None, {"rope_theta": 500000.0}),
    (
        {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0},
        None,
        {"rope_scaling": "linear", "rope_factor": 4.0},
    ),
    ({"llama.rope.scale_linear": 2.0}, None, {"rope_scaling": "linear", "rope_factor": 2.0}),
    (
        {
            "llama.rope.scaling.type": "yarn",
            "llama.rope.scaling.factor": 4.0,
            "llama.rope.scaling.original_context_length": 16,
        },
        None,
        {"rope_scaling": "yarn", "rope_factor": 4.0, "rope_original_context": 16},
    ),
    (
        {"llama.rope.freq_base": 500.0},
        llama3_factors(500.0, 8.0, 256),
        {"rope_scaling": "llama3", "rope_factor": 8.0, "rope_original_context": 256},
    ),
    ({}, np.ones(8, np.float32), {"rope_scaling": "none"}),
]


@pytest.mark.parametrize(("extra", "factors", "settings"), ROPES)
def test_rope_of_every_kind(make_gguf, llamacpp, extra, factors, settings):
    tensors = {} if factors is None else {"rope_freqs.weight": factors}
    path = make_gguf("llama", extra=extra, tensors=tensors)
    checkpoint = GgufCheckpoint.open(path)
    for name, value in settings.items():
        assert getattr(checkpoint.config, name) == value
    check_against(llamacpp(path), checkpoint)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"arch": "mamba"}, "architecture 'mamba' cannot be computed"),
        ({"extra": {"split.count": 3}}, "one of several parts"),
        ({"extra": {"llama.expert_count": 8}}, "llama.expert_count = 8 cannot be computed"),
        ({"extra": {"llama.attention.sliding_window": 16}}, "sliding_window = 16"),
        ({"extra": {"llama.attention.sliding_window": [0, 16]}}, r"sliding_window = \[ 0 16\]"),
        ({"extra": {"llama.attention.causal": False}}, "sees what comes later"),
        ({"arch": "m" * 200}, "architecture 'm{30,50} cannot"),
        ({"extra": {"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 2.0}},
         "RoPE scaling 'longrope'"),
        ({"extra": {"llama.rope.scaling.attn_factor": 0.5}}, "attn_factor = 0.5"),
        ({"tensors": {"rope_freqs.weight": np.linspace(1, 3, 8, dtype=np.float32)}},
         "not those of Llama 3"),
        ({"tensors": {"blk.0.extra.weight": np.ones(3, np.float32)}}, r"1 unknown \(blk.0.extra"),
        ({"drop": ("blk.1.attn_k.weight",)}, r"1 missing \(blk.1.attn_k.weight\)"),
        ({"drop": ("token_embd.weight",)}, "no table of embeddings"),
        ({"tensors": {"blk.0.attn_q.bias": np.ones(64, np.float32)}}, "biases on q of attention"),
        ({"tensors": {"output_norm.weight": np.ones(32, np.float32)}}, r"shape \(32,\).*\(64,\)"),
        ({"arch": "qwen2", "drop": ("blk.0.attn_k.bias",)}, "biases on q, v of attention"),
        ({"extra": {"penjing.lineage": "[3]"}}, "penjing.lineage' is damaged"),
    ],
)  # fmt: skip
def test_what_is_refused(make_gguf, made, said):
    with pytest.raises(CheckpointError, match=said):
        GgufCheckpoint.open(make_gguf(**made)).weights()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("block_count", 9999, "claims 9,999 layers"),
        ("block_count", 3, "claims 3 layers"),  # in the 20 tensors of two
        ("block_count", 0, "n_layer of the model cannot be 0"),
        ("context_length", 0, "context_length of the model cannot be 0"),
        ("attention.head_count", 2**32 - 1, "n_head must be at least 1 and not absurdly large"),
        ("attention.head_count_kv", 3, r"n_head \(4\) must be a multiple"),
        ("attention.value_length", 8, "value_length = 8, but the heads have 16"),
        ("rope.dimension_count", 8, "rope.dimension_count = 8, but the heads have 16"),
        ("embedding_length", 128, "the metadata ask for"),
    ],
)
def test_sizes_that_cannot_be(make_gguf, key, value, said):
    path = make_gguf()
    data = path.read_bytes()
    at = data.index(name := f"llama.{key}".encode() + b"\4\0\0\0") + len(name)
    path.write_bytes(data[:at] + value.to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(CheckpointError, match=said):
        GgufCheckpoint.open(path).weights()


def test_end_tokens_tokenizer_and_digest(make_gguf):
    checkpoint = GgufCheckpoint.open(make_gguf())
    end = checkpoint.tokenizer.id_of("<|end|>")
    assert checkpoint.generation["eos_token_id"] == [end] == [checkpoint.tokenizer.eos_id]
    assert checkpoint.tokenizer.decode(checkpoint.tokenizer.encode("the man")) == "the man"
    assert len(checkpoint.digest) == 64 and checkpoint.lineage == ()
