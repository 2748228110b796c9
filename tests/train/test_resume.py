"""A run that was stopped, in whatever way, goes on as if it had not been."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.stopped import Stopped, assert_same, settings, stopped_run

from penjing.core.errors import StorageError, TrainingError
from penjing.core.events import Event, read_events
from penjing.data.batches import Batch
from penjing.evaluate.loss import LossReport
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import saved_steps
from penjing.train import work
from penjing.train.config import OptimizerConfig
from penjing.train.objectives import NextToken
from penjing.train.parallel import replica
from penjing.train.pretrain import is_complete, pretrain, resume

KILLED = Path(__file__).with_name("killed.py")


def test_killed_at_any_moment_it_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    """Many processes, killed at random and before each kind of file operation: see killed.py."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, KILLED, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [path for path in tmp_path.iterdir() if path.name not in ("whole", "verse.txt")]
    assert len(runs) > 10
    for run in runs:
        assert_same(run, tmp_path / "whole")
        leftovers = [p.name for p in run.rglob(".*") if p.is_dir()]
        assert leftovers == []


VARIANTS: dict[str, dict[str, Any]] = {
    "muon": {},
    "adamw": {"optimizer": OptimizerConfig(name="adamw")},
    "bf16": {"precision": "bfloat16"},
    "stages": {"short_contexts": (8, 16)},
    "micro": {"micro_batch_size": 3},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_resumed_is_the_same(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    options = VARIANTS[variant]
    pretrain(settings(text, **options), out=tmp_path / "whole")
    run = stopped_run(text, tmp_path / "run", **options)
    assert max(saved_steps(run)) == 6
    resumed = resume(run)
    assert resumed.figures["step"] == 12 and not resumed.figures["interrupted"]
    assert_same(run, tmp_path / "whole")
    (event,) = (e for e in read_events(run / "events.jsonl") if e.kind == "resume")
    assert event.data["step"] == 6


def test_ctrl_c_saves_and_the_run_goes_on(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(settings(text), out=tmp_path / "whole")
    real = NextToken.batch

    def batch(self: NextToken, step: int) -> Batch:
        if step == 4 and not (tmp_path / "run" / "seen").exists():
            (tmp_path / "run" / "seen").touch()
            signal.raise_signal(signal.SIGINT)
        return real(self, step)

    monkeypatch.setattr(NextToken, "batch", batch)
    run = pretrain(settings(text), out=tmp_path / "run")
    assert run.figures["interrupted"] and max(saved_steps(run.path)) == 5
    assert not is_complete(run.path)
    resume(run.path)
    assert_same(run.path, tmp_path / "whole")
    assert is_complete(run.path)


def test_before_its_first_checkpoint_a_run_begins_anew(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(settings(text), out=tmp_path / "whole")
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(tmp_path / "whole" / "config.json", run)
    (run / "events.jsonl").write_text('{"event": "data", "time": 1, "docu')  # torn by the kill
    resume(run)
    assert_same(run, tmp_path / "whole")


def test_the_newest_and_the_best_are_kept(text: Path, tmp_path: Path, monkeypatch: Any) -> None:
    reports = iter([3.0, 1.0, 2.0, 2.5, 2.6, 2.7])
    monkeypatch.setattr(
        replica, "evaluate_loss", lambda *_a, **_k: LossReport.of(next(reports) * 9, 9, 9)
    )
    events: list[Event] = []
    seen: list[set[int]] = []

    def look(event: Event) -> None:
        events.append(event)
        if event.kind == "save":
            seen.append(set(saved_steps(tmp_path / "run")))

    config = settings(text, eval_every=2, save_every=1, keep=3)
    run = pretrain(config, out=tmp_path / "run", listeners=[look])
    assert seen[:4] == [{1}, {1, 2}, {1, 2, 3}, {2, 3, 4}]
    assert {4, 10, 9, 8} == seen[9]  # 4 was the best
    assert seen[-1] == set(saved_steps(run.path)) == {4, 12}
    assert run.figures["best_step"] == 4 and run.figures["best_loss"] == 1.0
    assert run.checkpoint.lineage[-1].figures["step"] == 4  # model/ is the best
    best = saved_steps(run.path)[4] / "model.safetensors"
    assert (run.path / "model" / "model.safetensors").samefile(best)


def test_a_complete_run_is_not_resumed(text: Path, tmp_path: Path) -> None:
    run = pretrain(settings(text, steps=2), out=tmp_path / "run")
    with pytest.raises(TrainingError, match=r"complete: 2 steps.*--from"):
        resume(run.path)
    assert run.checkpoint.path.is_dir()


def test_a_kill_while_a_step_is_saved_again_loses_nothing(text: Path, tmp_path: Path) -> None:
    """Between the two renames neither version has its name."""
    run = stopped_run(text, tmp_path / "run")
    newest = saved_steps(run)[6]
    newest.rename(newest.with_name(f".{newest.name}.abcd1234.old"))
    newest.with_name(f".{newest.name}.wxyz1234.tmp").mkdir()
    pretrain(settings(text), out=tmp_path / "whole")
    resume(run)
    (event,) = (e for e in read_events(run / "events.jsonl") if e.kind == "resume")
    assert event.data["step"] == 6
    assert_same(run, tmp_path / "whole")
    assert [p.name for p in run.rglob(".*")] == []


def test_a_kill_after_the_last_save_leaves_little_to_do(text: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if event.kind == "save" and event.data["step"] == 12:
            shutil.rmtree(tmp_path / "run" / "model")
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(settings(text), out=tmp_path / "run", listeners=[stop])
    assert not is_complete(tmp_path / "run")
    whole = pretrain(settings(text), out=tmp_path / "whole")
    done = resume(tmp_path / "run")
    assert_same(done.path, whole.path)
    assert done.figures["loss"] == whole.figures["loss"] and is_complete(done.path)
    assert done.figures["total_seconds"] >= done.figures["train_seconds"] > 0


def test_a_run_that_diverges_early_keeps_its_evidence(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "NextToken", Poisoned)
    with pytest.raises(TrainingError, match="diverged at step 5"):
        pretrain(settings(text, save_every=50, eval_every=0), out=tmp_path / "run")
    kinds = [e.kind for e in read_events(tmp_path / "run" / "events.jsonl")]
    assert "nonfinite" in kinds and "diagnosis" in kinds


def test_two_new_runs_do_not_share_a_folder(text: Path, tmp_path: Path) -> None:
    """The second one finds the folder taken, however late the first one made it."""

    def other(event: Event) -> None:
        if event.kind == "start" and not (tmp_path / "run").exists():
            pretrain(settings(text, steps=2), out=tmp_path / "run")

    with pytest.raises(StorageError, match="exists already"):
        pretrain(settings(text), out=tmp_path / "run", listeners=[other])
    assert is_complete(tmp_path / "run")


class Poisoned(NextToken):
    """A batch whose loss is no number."""

    at = 5

    def loss(self, model: LanguageModel, batch: Batch) -> torch.Tensor:
        loss = super().loss(model, batch)
        self.seen = getattr(self, "seen", 0) + 1
        return loss * float("nan") if self.seen == self.at else loss


@pytest.mark.parametrize(("action", "back_to"), [("skip", None), ("rollback", 4)])
def test_a_bad_batch_is_skipped_or_rolled_back(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, back_to: int | None
) -> None:
    monkeypatch.setattr(work, "NextToken", Poisoned)
    events: list[Event] = []
    run = pretrain(
        settings(text, on_nonfinite=action), out=tmp_path / "run", listeners=[events.append]
    )
    (bad,) = (e for e in events if e.kind == "nonfinite")
    assert bad.data["step"] == 5 and bad.data["action"] == action
    steps = [e.data["step"] for e in events if e.kind == "step"]
    assert steps[:4] == [1, 2, 3, 4]
    assert steps[4] == (6 if back_to is None else back_to + 1)
    assert run.figures["step"] == 12 and steps[-1] == 12
