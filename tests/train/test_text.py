"""A run reads shards as it reads the text: the same batches, losses and weights, bit for bit."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from penjing.core.errors import ConfigError, DataError
from penjing.core.events import Event, read_events
from penjing.data.shards.encode import encode_shards
from penjing.data.shards.plan import ShardConfig
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import DataConfig, PretrainConfig, StartConfig, TrainConfig
from penjing.train.pretrain import dry_run, pretrain, resume
from penjing.train.range_test import range_test

VERSE = "{} bottles: the moon looks in at the window,\nand the frost lies white on the ground.\n"


def config(source: Path, **more: Any) -> PretrainConfig:
    settings = PretrainConfig(
        data=DataConfig((str(source),), 0.1),
        tokenizer=TokenizerConfig(vocab_size=280),
        model=ModelConfig(n_layer=1, n_embd=32, context_length=32),
        train=TrainConfig(
            steps=8,
            batch_size=4,
            precision="float32",
            threads=1,
            eval_every=4,
            save_every=4,
            keep=9,
            log_every=1,
            sample_tokens=3,
        ),
    )
    return replace(settings, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text, a run on it, and the shards of the text with that run's tokenizer."""
    folder = tmp_path_factory.mktemp("made")
    torch.set_num_threads(1)
    (folder / "texts").mkdir()
    for n in range(12):
        lines = (VERSE.format(i) for i in range(n * 20, n * 20 + 15))
        (folder / "texts" / f"{n:02}.txt").write_text("".join(lines))
    pretrain(config(folder / "texts"), out=folder / "from-text")
    tokenizer = Checkpoint.open(folder / "from-text").tokenizer
    shards = ShardConfig(0.1, shard_tokens=500)
    encode_shards([folder / "texts"], tokenizer, folder / "shards", shards, workers=1)
    return folder


def events(run: Path) -> list[Event]:
    return list(read_events(run / "events.jsonl"))


def losses(run: Path) -> list[float]:
    return [event.data["loss"] for event in events(run) if "loss" in event.data]


def of_the_text(told: list[Event]) -> dict[str, Any]:
    """The "data" event, without where the text lies."""
    (event,) = (event for event in told if event.kind == "data")
    return {name: value for name, value in event.data.items() if name != "sources"}


def test_a_run_on_shards_is_the_run_on_the_text(made: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    run = pretrain(config(made / "shards"), out=tmp_path / "run", listeners=[told.append])
    assert losses(tmp_path / "run") == losses(made / "from-text")
    assert run.figures["loss"] == losses(made / "from-text")[-1]
    ours, theirs = (
        Checkpoint.open(path).load_model().state_dict()
        for path in (tmp_path / "run", made / "from-text")
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert of_the_text(told) == of_the_text(events(made / "from-text"))


def test_a_run_on_shards_goes_on_after_a_kill(made: Path, tmp_path: Path) -> None:
    pretrain(config(made / "shards"), out=tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for folder in sorted((tmp_path / "cut" / "checkpoints").iterdir())[1:]:
        shutil.rmtree(folder)
    log = (tmp_path / "cut" / "events.jsonl").read_text().split("\n")
    (tmp_path / "cut" / "events.jsonl").write_text("\n".join(log[: len(log) // 2]) + "\n")
    resume(tmp_path / "cut")
    assert losses(tmp_path / "cut")[-1] == losses(tmp_path / "whole")[-1]


def test_what_is_tried_out_reads_shards_too(made: Path) -> None:
    told: list[Event] = []
    dry_run(config(made / "shards"), listeners=[told.append])
    assert "forecast" in [event.kind for event in told]
    assert len(range_test(config(made / "shards"), steps=30).points) > 10


def test_a_model_is_trained_further_on_shards(made: Path, tmp_path: Path) -> None:
    further = PretrainConfig(
        data=DataConfig((str(made / "shards"),), 0.1),
        train=replace(config(made).train, steps=4),
        start=StartConfig(model=str(made / "from-text")),
    )
    on_shards = pretrain(further, out=tmp_path / "a")
    on_text = replace(further, data=DataConfig((str(made / "texts"),), 0.1))
    assert on_shards.figures["loss"] == pretrain(on_text, out=tmp_path / "b").figures["loss"]


def test_replay_holds_nothing_that_the_shards_are_judged_by(made: Path, tmp_path: Path) -> None:
    """The same text, named in another way: what is validation here must not be trained on."""
    shutil.copytree(made / "texts", tmp_path / "old")
    (tmp_path / "old" / "more.txt").write_text("".join(VERSE.format(i) for i in range(900, 990)))
    further = PretrainConfig(
        data=DataConfig((str(made / "shards"),), 0.1),
        train=replace(config(made).train, steps=3),
        start=StartConfig(model=str(made / "from-text"), replay=(str(tmp_path / "old"),)),
    )
    on_text = replace(further, data=DataConfig((str(made / "texts"),), 0.1))
    run = pretrain(further, out=tmp_path / "a")
    assert run.figures["loss"] == pretrain(on_text, out=tmp_path / "b").figures["loss"]
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


def test_replay_is_the_same_from_shards_and_from_the_text(made: Path, tmp_path: Path) -> None:
    """Documents that the new text holds on the other side are left out of both."""
    shutil.copytree(made / "texts", tmp_path / "new")
    (tmp_path / "new" / "more.txt").write_text("".join(VERSE.format(i) for i in range(900, 990)))
    further = PretrainConfig(
        data=DataConfig((str(tmp_path / "new"),), 0.3),
        train=replace(config(made).train, steps=4),
    )
    tokenizer = Checkpoint.open(made / "from-text").tokenizer
    shards = ShardConfig(0.3, shard_tokens=500)
    shutil.copytree(made / "texts", tmp_path / "old")  # not known as what it was trained on
    encode_shards([tmp_path / "old"], tokenizer, tmp_path / "shards", shards, workers=1)
    runs = []
    for name, replay in (("a", tmp_path / "old"), ("b", tmp_path / "shards")):
        start = StartConfig(
            model=str(made / "from-text"), replay=(str(replay),), replay_fraction=0.5
        )
        pretrain(replace(further, start=start), out=tmp_path / name)
        runs.append(tmp_path / name)
    assert losses(runs[0]) == losses(runs[1])
    rows = [compared(events(run)) for run in runs]
    assert len(rows[0]) == 2
    assert rows[0] == rows[1]


def compared(told: list[Event]) -> list[tuple[float, float]]:
    """Bits per byte of each text that a model was measured on, before and after."""
    (event,) = (event for event in told if event.kind == "transfer")
    return [(row["before"], row["after"]) for row in event.data["rows"]]


def test_what_a_model_knew_from_shards_is_measured(made: Path, tmp_path: Path) -> None:
    pretrain(config(made / "shards"), out=tmp_path / "parent")
    (tmp_path / "new.txt").write_text("".join(VERSE.format(i) for i in range(900, 990)))
    further = PretrainConfig(
        data=DataConfig((str(tmp_path / "new.txt"),), 0.1),
        train=replace(config(made).train, steps=2),
        start=StartConfig(model=str(tmp_path / "parent")),
    )
    pretrain(further, out=tmp_path / "a")
    (done,) = (event for event in events(tmp_path / "parent") if event.kind == "done")
    (_, (before, _)) = compared(events(tmp_path / "a"))
    assert before == done.data["bits_per_byte"]
    told: list[Event] = []
    more = replace(further, start=replace(further.start, new_tokens=10))
    pretrain(more, out=tmp_path / "b", listeners=[told.append])
    (event,) = (event for event in told if event.kind == "transfer")
    assert "The shards in" in event.data["note"] and len(event.data["rows"]) == 1
    replay = replace(more.start, replay=(str(made / "shards"),))
    with pytest.raises(DataError, match="another tokenizer than the model's"):
        pretrain(replace(more, start=replay), out=tmp_path / "c")


# --- what does not fit ------------------------------------------------------------------------


def test_a_model_with_another_tokenizer_is_refused(made: Path, tmp_path: Path) -> None:
    other = config(made / "texts", tokenizer=TokenizerConfig(kind="byte"))
    pretrain(replace(other, train=replace(other.train, steps=1)), out=tmp_path / "other")
    further = PretrainConfig(
        data=DataConfig((str(made / "shards"),), 0.1),
        train=config(made).train,
        start=StartConfig(model=str(tmp_path / "other")),
    )
    theirs = Tokenizer.load(made / "shards").fingerprint[:12]
    said = f"another tokenizer than the model's: SHA-256 {theirs} with 280 tokens, the model's "
    with pytest.raises(DataError, match=said):
        pretrain(further, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    more = replace(further, start=StartConfig(model=str(made / "from-text"), new_tokens=10))
    with pytest.raises(ConfigError, match="holds ids, from which no tokenizer can learn new"):
        pretrain(more, out=tmp_path / "run")


def test_damaged_shards_are_refused_before_the_first_step(made: Path, tmp_path: Path) -> None:
    shards = shutil.copytree(made / "shards", tmp_path / "shards")
    path = shards / "train-00001.bin"
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"train-00001\.bin is damaged between byte 0 and byte"):
        pretrain(config(shards), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer": TokenizerConfig(vocab_size=999)}, r"vocab_size = 999 \(there 280\)"),
        ({"data": DataConfig(("shards",), 0.2)}, r"validation_fraction = 0\.2 \(there 0\.1\)"),
        ({"data": DataConfig(("shards",), 0.1, True)}, r"exact_split = True \(there False\)"),
        ({"data": DataConfig(("shards", "more.txt"), 0.1)}, "one such folder and nothing else"),
    ],
)
def test_settings_that_contradict_the_shards(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.chdir(made)
    with pytest.raises(ConfigError, match=said):
        pretrain(config(made / "shards", **change), out=tmp_path / "run")


def test_shards_without_validation_text_are_refused(made: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(made / "shards")
    encode_shards([made / "texts"], tokenizer, tmp_path / "all", ShardConfig(0), workers=1)
    with pytest.raises(ConfigError, match="have no validation part"):
        pretrain(
            config(tmp_path / "all", data=DataConfig((str(tmp_path / "all"),))),
            out=tmp_path / "run",
        )
