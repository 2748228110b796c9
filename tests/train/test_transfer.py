"""Going on from a model: it learns the new text and keeps its form; with replay it forgets less."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.further import VERSE, further, gpt2, llama, table, told
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
)

from penjing.core.errors import (
    DataError,
)
from penjing.core.events import Event
from penjing.data.batches import encode_documents
from penjing.data.documents import split_documents
from penjing.data.readers import read_documents
from penjing.evaluate.loss import evaluate_loss
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.tensor_files import SINGLE
from penjing.model.vocabulary import extend_vocabulary
from penjing.tokenizer.extend import extend_tokenizer
from penjing.train.config import (
    DataConfig,
    OptimizerConfig,
    PretrainConfig,
)
from penjing.train.parent import begin
from penjing.train.pretrain import pretrain, resume
from penjing.train.run import Run


def test_a_new_text_is_learned(folder: Path, tmp_path: Path) -> None:
    run = pretrain(further(folder), out=tmp_path / "run")
    parent = Checkpoint.open(folder / "parent")
    assert run.checkpoint.config == parent.config
    assert run.checkpoint.tokenizer.fingerprint == parent.tokenizer.fingerprint
    before, after = table(run)["new"]
    assert after < 0.6 * before
    assert after == run.figures["bits_per_byte"]
    start, general = folder / "verse.txt", told(run, "transfer")["rows"][1]
    assert general["text"] == f"general: {start}"  # known from the parent's lineage
    assert general["before"] == told(Run(folder / "parent", parent, {}), "done")["bits_per_byte"]


def test_the_lineage_goes_on(folder: Path, tmp_path: Path) -> None:
    run = pretrain(further(folder, steps=2), out=tmp_path / "run")
    parent = Checkpoint.open(folder / "parent")
    *past, own = run.checkpoint.lineage
    assert tuple(past) == parent.lineage and len(past) == 1
    assert own.operation == "pretrain" and own.data and own.data != past[0].data
    assert own.parent == hashlib.sha256((parent.path / SINGLE).read_bytes()).hexdigest()


def test_with_replay_less_is_forgotten(folder: Path, tmp_path: Path) -> None:
    plain = table(pretrain(further(folder), out=tmp_path / "plain"))
    replay = {"replay": (str(folder / "verse.txt"),), "replay_fraction": 0.25}
    mixed = table(pretrain(further(folder, replay), out=tmp_path / "mixed"))
    assert plain["general"][0] == mixed["general"][0]
    assert plain["general"][1] > 1.5 * plain["general"][0]  # forgotten
    assert mixed["general"][1] < 1.1 * mixed["general"][0]  # kept
    assert mixed["new"][1] < 1.15 * plain["new"][1]  # at a small price


def test_a_fraction_of_nothing_only_measures(folder: Path, tmp_path: Path) -> None:
    plain = pretrain(further(folder, steps=3), out=tmp_path / "plain")
    replay = {"replay": (str(folder / "verse.txt"),), "replay_fraction": 0.0}
    measured = pretrain(further(folder, replay, steps=3), out=tmp_path / "measured")
    assert table(measured) == table(plain)


def test_an_unknown_past_is_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "parent" / "model", tmp_path / "stranger")
    (tmp_path / "stranger" / "penjing.json").unlink()
    config = further(folder, {"model": str(tmp_path / "stranger")}, steps=1)
    run = pretrain(config, out=tmp_path / "run")
    assert list(table(run)) == ["new"]
    assert "not known what text" in told(run, "transfer")["note"]
    notes = json.loads((folder / "parent" / "model" / "penjing.json").read_text())
    notes["lineage"][0]["settings"]["data"]["sources"] = ["gone.txt"]
    (tmp_path / "stranger" / "penjing.json").write_text(json.dumps(notes))
    run = pretrain(config, out=tmp_path / "again")
    assert list(table(run)) == ["new"]
    assert "gone.txt" in told(run, "transfer")["note"]


def test_nothing_is_trained_on_that_the_other_text_is_judged_by(
    folder: Path, tmp_path: Path
) -> None:
    texts = sorted(
        (VERSE.format(i) * 2 for i in range(90)),
        key=lambda text: hashlib.sha256(text.encode()).digest(),  # as splits are made
    )
    lines = [json.dumps({"text": text}) for text in texts]
    (tmp_path / "new.jsonl").write_text("\n".join(lines[:40]))
    (tmp_path / "old.jsonl").write_text("\n".join([*lines[35:40], *lines[50:]]))
    config = further(folder, {"replay": (str(tmp_path / "old.jsonl"),)}, steps=1)
    config = replace(config, data=DataConfig((str(tmp_path / "new.jsonl"),), 0.3))
    run = pretrain(config, out=tmp_path / "run")
    new = split_documents(read_documents(config.data.sources), validation_fraction=0.3)
    old = split_documents(read_documents(config.start.replay), validation_fraction=0.3)
    both = {d.text for d in new.train} & {d.text for d in old.validation}
    assert both  # the case is there
    rest = [d for d in old.validation if d.text not in both]
    tokens = encode_documents(rest, run.checkpoint.tokenizer)
    model = run.checkpoint.load_model()
    report = evaluate_loss(model, tokens, context_length=32, batch_size=8)
    assert table(run)["general"][1] == pytest.approx(report.bits_per_byte, rel=1e-6)


def test_new_tokens(folder: Path, tmp_path: Path) -> None:
    run = pretrain(further(folder, {"new_tokens": 15}), out=tmp_path / "run")
    plain = pretrain(further(folder), out=tmp_path / "plain")
    assert run.checkpoint.config.vocab_size == run.checkpoint.tokenizer.vocab_size == 295
    assert told(run, "tokenizer")["vocab_size"] == 295
    assert told(run, "tokenizer")["bytes_per_token"] > told(plain, "tokenizer")["bytes_per_token"]
    assert table(run)["new"][1] < table(run)["new"][0]
    theirs = AutoModelForCausalLM.from_pretrained(run.checkpoint.path).eval()
    text = "def f5(x):\n    return self.window(x)"
    ids = AutoTokenizer.from_pretrained(run.checkpoint.path)(text)["input_ids"]
    assert ids == run.checkpoint.tokenizer.encode(text) and max(ids) >= 280
    with torch.inference_mode():
        logits = run.checkpoint.load_model()(torch.tensor([ids]))
        torch.testing.assert_close(logits, theirs(torch.tensor([ids])).logits, rtol=0, atol=1e-4)


@pytest.mark.parametrize("text", ["verse", "code"])
def test_means_of_pieces_beat_random_rows(folder: Path, text: str) -> None:
    parent = Checkpoint.open(folder / "parent")
    documents = read_documents([folder / f"{text}.txt"])
    extension = extend_tokenizer(parent.tokenizer, (d.text for d in documents), 15)
    model = parent.load_model()

    def bits(pieces: Any, seed: int | None = None) -> float:
        tokens = encode_documents(documents, extension.tokenizer)
        grown = extend_vocabulary(model, extension.first, pieces)
        if seed is not None:
            table = grown.state_dict()["embedding.weight"]
            generator = torch.Generator().manual_seed(seed)
            spread = float(table[: extension.first].std())
            table[extension.first :].normal_(std=spread, generator=generator)
        report = evaluate_loss(grown, tokens, context_length=32, batch_size=32)
        return report.bits_per_byte

    means = bits(extension.pieces)
    assert means < min(bits(extension.pieces, seed) for seed in range(3))


@pytest.mark.parametrize("theirs", [gpt2, llama])
@pytest.mark.parametrize("new_tokens", [0, 12])
def test_a_model_of_others(theirs: Any, new_tokens: int, folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs(320).save_pretrained(tmp_path / "theirs")  # more rows than the tokenizer has tokens
    Checkpoint.open(folder / "parent").tokenizer.save(tmp_path / "theirs")
    start = {"model": str(tmp_path / "theirs"), "new_tokens": new_tokens, "context_length": 24}
    run = pretrain(further(folder, start), out=tmp_path / "run")
    assert run.checkpoint.config.vocab_size == 320 and run.checkpoint.config.context_length == 24
    before, after = table(run)["new"]
    assert after < 0.8 * before
    again = AutoModelForCausalLM.from_pretrained(run.checkpoint.path).eval()
    ids = torch.tensor(
        [AutoTokenizer.from_pretrained(run.checkpoint.path)(VERSE)["input_ids"][:24]]
    )
    with torch.inference_mode():
        logits = run.checkpoint.load_model()(ids)
        torch.testing.assert_close(logits, again(ids).logits, rtol=0, atol=1e-4)
    (line,) = run.checkpoint.lineage
    stored = (tmp_path / "theirs" / SINGLE).read_bytes()
    assert line.parent == hashlib.sha256(stored).hexdigest()


def test_the_hash_of_a_model_in_shards(folder: Path, tmp_path: Path) -> None:
    llama(320).save_pretrained(tmp_path / "theirs", max_shard_size="40KB")
    Checkpoint.open(folder / "parent").tokenizer.save(tmp_path / "theirs")
    shards = sorted((tmp_path / "theirs").glob("*.safetensors"))
    assert len(shards) > 1
    config = further(folder, {"model": str(tmp_path / "theirs")})
    expected = hashlib.sha256(b"".join(shard.read_bytes() for shard in shards)).hexdigest()
    assert begin(config).origin.parent == expected


def test_the_same_text_again(folder: Path, tmp_path: Path) -> None:
    config = replace(further(folder, steps=3), data=DataConfig((str(folder / "verse.txt"),), 0.1))
    run = pretrain(config, out=tmp_path / "run")
    assert list(table(run)) == ["new"] and told(run, "transfer")["note"] == ""


def test_a_longer_context(folder: Path, tmp_path: Path) -> None:
    start = {"context_length": 64}
    run = pretrain(further(folder, start, steps=2), out=tmp_path / "run")
    assert run.checkpoint.config.context_length == 64
    config = further(folder, start, steps=2)
    config = replace(config, model=ModelConfig(rope_scaling="yarn", dropout=0.1))
    shape = pretrain(config, out=tmp_path / "yarn").checkpoint.config
    assert (shape.rope_scaling, shape.rope_factor, shape.rope_original_context) == ("yarn", 2.0, 32)
    assert shape.n_embd == 32


def broken(config: PretrainConfig, out: Path, step: int) -> None:
    """A run whose process fails after `step`."""

    def listener(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == step:
            raise OSError("power is out")

    with pytest.raises(OSError, match="power is out"):
        pretrain(config, out=out, listeners=[listener])


def test_it_resumes_exactly_and_without_the_parent(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "parent", tmp_path / "parent")
    start = {
        "model": str(tmp_path / "parent"),
        "new_tokens": 10,
        "replay": (str(folder / "verse.txt"),),
        "replay_fraction": 0.3,
    }
    config = further(folder, start, steps=20, save_every=6, log_every=1, short_contexts=(8,))
    whole = pretrain(config, out=tmp_path / "whole")
    broken(config, tmp_path / "broken", step=14)
    shutil.rmtree(tmp_path / "parent")
    events: list[Event] = []
    resumed = resume(tmp_path / "broken", listeners=[events.append])
    assert next(e for e in events if e.kind == "resume").data["step"] == 12
    ours, theirs = (run.checkpoint.load_model().state_dict() for run in (whole, resumed))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert told(whole, "transfer") == told(resumed, "transfer")
    assert [line.parent for line in resumed.checkpoint.lineage] == [
        line.parent for line in whole.checkpoint.lineage
    ]


def test_changed_replay_text_is_noticed(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "replay.txt"
    shutil.copyfile(folder / "verse.txt", text)
    config = further(folder, {"replay": (str(text),)}, save_every=2, log_every=1)
    broken(config, tmp_path / "run", step=4)
    text.write_text("one line more\n" + text.read_text())
    with pytest.raises(DataError, match="no longer"):
        resume(tmp_path / "run")


def test_another_optimizer_and_precision(folder: Path, tmp_path: Path) -> None:
    config = further(folder, precision="bfloat16", optimizer=OptimizerConfig(name="adamw"))
    run = pretrain(config, out=tmp_path / "run")
    assert run.checkpoint.load_model().embedding.weight.dtype == torch.bfloat16
    assert table(run)["new"][1] < table(run)["new"][0]
