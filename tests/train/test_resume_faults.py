"""What stands in the way of going on with a run: damage, other settings or text, a full disk."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.train.stopped import assert_same, settings, stopped_run

from penjing.core.errors import CheckpointError, DataError, StorageError
from penjing.core.events import Event, JsonLines
from penjing.model.checkpoint import Checkpoint, saved_steps
from penjing.train import state as state_module
from penjing.train.pretrain import pretrain, resume


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("training/state.safetensors", damage, "state.safetensors is damaged"),
        ("training/state.safetensors", cut, "state.safetensors is damaged"),
        ("training/state.safetensors", Path.unlink, "state.safetensors is missing"),
        ("training/state.json", cut, "state.json is damaged"),
        ("model.safetensors", cut, "model.safetensors is damaged"),
        ("config.json", Path.unlink, "config.json is missing"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_serves(
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    harm: Callable[[Path], None],
    said: str,
) -> None:
    run = stopped_run(text, tmp_path / "run")
    newest = saved_steps(run)[6]
    harm(newest / name)
    with pytest.raises(CheckpointError, match=said):
        resume(run)
    assert set(saved_steps(run)) == {5, 6}
    newest.rename(tmp_path / "away")
    pretrain(settings(text), out=tmp_path / "whole")
    resume(run)
    assert_same(run, tmp_path / "whole")


def test_another_runs_checkpoint_is_refused(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_run(text, tmp_path / "run")
    data = json.loads((run / "config.json").read_text())
    data["train"]["optimizer"]["lr"] = 0.5
    (run / "config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"other settings \(train\.optimizer\.lr\)"):
        resume(run)


def test_changed_text_is_refused_unless_accepted(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_run(text, tmp_path / "run")
    before = text.read_text()
    text.write_text(before.replace("moon", "noon"))
    with pytest.raises(DataError, match=r"(?s)no longer the one.*--accept-changed-data"):
        resume(run)
    text.write_text(before[: len(before) // 2])  # shorter, too
    done = resume(run, accept_changed_data=True)
    assert done.figures["step"] == 12


def test_there_must_be_a_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run in"):
        resume(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "events.jsonl").touch()
    with pytest.raises(CheckpointError, match=r"config.json is damaged"):
        resume(tmp_path)


def test_two_processes_do_not_write_one_run(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_run(text, tmp_path / "run")
    log = (run / "events.jsonl").read_bytes()
    with FileLock(run / "lock"), pytest.raises(StorageError, match="Another process works in"):
        resume(run)
    assert (run / "events.jsonl").read_bytes() == log


def full_disk(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """The save of that number finds no room, after half of its files are written."""
    real, count = state_module.save_tensors, []

    def save(tensors: Any, file: Path, *rest: Any) -> None:
        count.append(1)
        if len(count) == at:
            file.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, file, *rest)

    monkeypatch.setattr(state_module, "save_tensors", save)


def test_a_full_disk_ends_the_run_and_harms_nothing(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, at=3)
    with pytest.raises(StorageError, match="disk is full"):
        pretrain(settings(text), out=tmp_path / "run")
    run = tmp_path / "run"
    assert Checkpoint.open(run).lineage[-1].figures["step"] == max(saved_steps(run)) == 4
    assert [p.name for p in run.rglob(".*")] == []
    pretrain(settings(text), out=tmp_path / "whole")
    resume(run)
    assert_same(run, tmp_path / "whole")


def test_a_full_disk_at_the_first_save_leaves_a_log_and_no_half_of_a_checkpoint(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, at=1)
    run = tmp_path / "run"
    with pytest.raises(StorageError, match="disk is full"):
        pretrain(settings(text), out=run)
    assert not saved_steps(run) and [p.name for p in run.rglob(".*")] == []
    pretrain(settings(text), out=tmp_path / "whole")
    resume(run)
    assert_same(run, tmp_path / "whole")


def test_a_log_that_finds_no_room_is_a_clear_error(tmp_path: Path) -> None:
    """What is buffered is refused once more when the file is closed."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageError, match="disk is full"), JsonLines(tmp_path / "log") as log:
        log._file.close()
        log._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 (the log closes it)
        log(Event("step", {"step": 1}))
