"""Damaged, half-written and foreign model directories are refused with a clear word."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from penjing.core.errors import CheckpointError, StorageError
from penjing.model import tensors
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = build_model(ModelConfig(vocab_size=257, n_layer=2, n_embd=32, context_length=16))
    tokenizer = train_tokenizer(["ab"], TokenizerConfig(kind="byte"))
    lineage = Lineage("pretrain", {"steps": 3}, data="abc", figures={"loss": 1.5})
    save_checkpoint(tmp_path / "m", model=model, tokenizer=tokenizer, lineage=(lineage,))
    return tmp_path / "m"


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    data = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def test_lineage_is_kept(saved: Path) -> None:
    (line,) = Checkpoint.open(saved).lineage
    assert line.operation == "pretrain" and line.figures == {"loss": 1.5} and line.version


def test_only_safe_files_are_written(saved: Path) -> None:
    assert sorted(p.name for p in saved.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "penjing.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_runs_directory_opens_its_model(saved: Path) -> None:
    run = saved.parent / "run"
    run.mkdir()
    saved.rename(run / "model")
    assert Checkpoint.open(run).path == run / "model"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_is_missing(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(saved).load_model()


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_half_written_weights(saved: Path, keep: int) -> None:
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or was written only"):
        Checkpoint.open(saved).load_model()


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", "\x00"])
def test_a_damaged_config(saved: Path, content: str) -> None:
    (saved / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        Checkpoint.open(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": None}, "'hidden_size' is missing"),
        ({"hidden_size": "wide"}, "config.json"),
        ({"hidden_size": 33}, "has the shape"),
        ({"num_hidden_layers": 3}, "missing"),
        ({"num_hidden_layers": 1}, "unknown"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "must be a multiple"),
        ({"model_type": "mamba"}, "model_type 'mamba' is not one of ours"),
        ({"model_type": None}, "not one of ours"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' cannot be computed"),
        ({"model_type": "lstm"}, "model_type 'lstm' is not one of ours"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "RoPE scaling 'longrope' cannot"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "RoPE scaling 'dynamic' cannot"),
        ({"rope_parameters": {"rope_type": "linear"}}, "a factor of at least 1, got None"),
        ({"rope_parameters": {"rope_type": "linear", "factor": "2"}}, "factor of at least 1, got"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 0.5}}, "factor of at least 1"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2, "beta_fast": 9}}, "beta_fast = 9"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2, "truncate": False}}, "truncate"),
        (
            {"rope_parameters": {"rope_type": "llama3", "factor": 2, "high_freq_factor": 8}},
            "high_freq_factor = 8",
        ),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial"),
        ({"vocab_size": 100}, "100"),
        ({"vocab_size": 257.0}, "int needed, got float"),
        ({"rms_norm_eps": "1e-6"}, "float needed, got str"),
        ({"intermediate_size": -1}, "n_inner must be at least 1"),
        ({"num_attention_heads": 0, "head_dim": None}, "n_head is 0"),
        ({"rope_parameters": "yes"}, "must be a table"),
        ({"layer_types": ["sliding_attention"]}, "sliding_attention"),
    ],
)
def test_a_config_that_does_not_fit(saved: Path, changes: dict[str, Any], message: str) -> None:
    edit_config(saved, **changes)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.open(saved).load_model()


def test_a_tensor_too_few_and_one_too_many(saved: Path) -> None:
    file = saved / "model.safetensors"
    tensors = load_file(file)
    tensors["surprise"] = tensors.pop("model.norm.weight")
    save_file(tensors, file)
    with pytest.raises(
        CheckpointError, match=r"1 missing \(model.norm.weight\). 1 unknown \(surprise\)"
    ):
        Checkpoint.open(saved).load_model()


def test_shards_outside_the_directory_are_not_read(saved: Path) -> None:
    weights = {"weight_map": {"model.norm.weight": "../secret.safetensors"}}
    (saved / "model.safetensors.index.json").write_text(json.dumps(weights))
    with pytest.raises(CheckpointError, match="secret"):
        Checkpoint.open(saved).load_model()


def test_a_file_that_mixes_precisions_is_read_in_one(saved: Path) -> None:
    file = saved / "model.safetensors"
    tensors = {name: t.bfloat16() for name, t in load_file(file).items()}
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    save_file(tensors, file)
    model = Checkpoint.open(saved).load_model()
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("lineage", ["x", [5], [{"figures": [1]}], [{"operation": 5}], [{"x": 1}]])
def test_a_damaged_lineage(saved: Path, lineage: object) -> None:
    (saved / "penjing.json").write_text(json.dumps({"lineage": lineage}))
    with pytest.raises(CheckpointError, match=r"penjing\.json is damaged"):
        Checkpoint.open(saved)


@pytest.mark.parametrize("name", ["config.json", "penjing.json"])
def test_json_that_is_nested_without_end(saved: Path, name: str) -> None:
    (saved / name).write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(saved)


@pytest.mark.parametrize("where", [["a"], {"a": 1}, None])
def test_a_damaged_index(saved: Path, where: object) -> None:
    file = saved / "model.safetensors.index.json"
    file.write_text(json.dumps({"weight_map": where}))
    with pytest.raises(CheckpointError, match="weight_map must name a file"):
        Checkpoint.open(saved).load_model()


def test_weights_that_are_no_floats(saved: Path) -> None:
    file = saved / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int8)
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"norm\.weight is of type I8"):
        Checkpoint.open(saved).load_model()


def test_a_tokenizer_that_does_not_fit(saved: Path) -> None:
    train_tokenizer(["ab" * 40], TokenizerConfig(vocab_size=258)).save(saved)
    with pytest.raises(CheckpointError, match="258 tokens but the model only 257"):
        _ = Checkpoint.open(saved).tokenizer


def test_a_full_disk_leaves_the_old_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (saved / "model.safetensors").read_bytes()
    monkeypatch.setattr(tensors, "save_file", full)
    old = Checkpoint.open(saved)
    with pytest.raises(StorageError, match="disk is full"):
        save_checkpoint(saved, model=old.load_model(), tokenizer=old.tokenizer, replace=True)
    assert (saved / "model.safetensors").read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_an_existing_directory_is_kept(saved: Path) -> None:
    old = Checkpoint.open(saved)
    with pytest.raises(StorageError, match="exists already"):
        save_checkpoint(saved, model=old.load_model(), tokenizer=old.tokenizer)


def test_precision_is_kept_or_chosen(saved: Path) -> None:
    old = Checkpoint.open(saved)
    half = old.load_model(dtype=torch.bfloat16)
    save_checkpoint(saved, model=half, tokenizer=old.tokenizer, replace=True)
    assert json.loads((saved / "config.json").read_text())["dtype"] == "bfloat16"
    again = Checkpoint.open(saved)
    assert next(again.load_model().parameters()).dtype == torch.bfloat16
    assert next(again.load_model(dtype=torch.float32).parameters()).dtype == torch.float32
