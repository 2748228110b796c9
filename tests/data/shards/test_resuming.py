"""An encoding that was killed, interrupted or disturbed goes on, or says what is wrong."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.data.shards.comparing import assert_same, contents
from tests.data.shards.conftest import prose

from penjing.core.errors import DataError, StorageError
from penjing.core.events import Event
from penjing.data.shards import encode as encoding
from penjing.data.shards.encode import begin, encode_shards, work_folder
from penjing.data.shards.plan import STDIN, ShardConfig, load_plan
from penjing.data.shards.task import is_done
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


@pytest.fixture
def begun(texts: Path, tokenizer: Tokenizer, tmp_path: Path) -> Iterator[Path]:
    """A work folder with some tasks done: its process was killed."""
    tokenizer.save(tmp_path / "tokenizer")
    code = (
        "import sys\n"
        "from penjing.data.shards.encode import encode_shards\n"
        "from penjing.data.shards.plan import ShardConfig\n"
        "from penjing.tokenizer.tokenizer import Tokenizer\n"
        "def slow(event):\n"
        "    print('told', flush=True); sys.stdin.readline()\n"
        "encode_shards(['texts'], Tokenizer.load('tokenizer'), 'out',\n"
        "              ShardConfig(task_bytes=2000), workers=2, listener=slow)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    with process.stdin, process.stdout:
        for _ in range(4):
            assert process.stdout.readline() == "told\n"
            process.stdin.write("\n")
            process.stdin.flush()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    yield work_folder(tmp_path / "out")


def test_a_killed_encoding_goes_on(
    begun: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deadline = time.monotonic() + 20  # the workers end by themselves, with what they were at
    plan = load_plan(begun)
    while (done := settled(plan, deadline)) is None:
        time.sleep(0.05)
    assert 0 < len(done) < len(plan.tasks)
    before = {n: plan.task(n).with_suffix(".ids").stat().st_mtime_ns for n in done}
    did: list[str] = []
    work = encoding.work
    monkeypatch.setattr(encoding, "work", lambda plan, job: (did.append(job), work(plan, job)))
    config = ShardConfig(task_bytes=2000)
    monkeypatch.setattr(encoding.shutil, "rmtree", lambda *_, **__: None)
    encode_shards(["texts"], tokenizer, "out", config, workers=1)
    assert len([job for job in did if job.startswith("task")]) == len(plan.tasks) - len(done)
    after = {n: plan.task(n).with_suffix(".ids").stat().st_mtime_ns for n in done}
    assert before == after
    encode_shards(["texts"], tokenizer, "whole", config, workers=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def settled(plan: Any, deadline: float) -> list[int] | None:
    """The tasks that are done, once none is being written any more."""
    done = [n for n in range(len(plan.tasks)) if is_done(plan, n)]
    writing = list((plan.folder / "tasks").glob(".*"))
    time.sleep(0.3)
    still = [n for n in range(len(plan.tasks)) if is_done(plan, n)]
    return done if (done == still and not writing) or time.monotonic() > deadline else None


@pytest.mark.parametrize("change", ["text", "tokenizer", "end token", "settings"])
def test_a_work_begun_with_something_else_is_not_gone_on_with(
    begun: Path,
    texts: Path,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ShardConfig(task_bytes=2000)
    if change == "text":
        (texts / "more.txt").write_text("one more")
    elif change == "tokenizer":
        tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    elif change == "end token":
        tokenizer, change = Tokenizer(tokenizer.text), "tokenizer"
    else:
        config = ShardConfig(0.2, task_bytes=2000)
    with pytest.raises(DataError, match=rf"out\.partial holds .* with another {change}\. Call"):
        encode_shards(["texts"], tokenizer, "out", config, workers=1)


def test_a_file_that_changes_meanwhile_is_noticed(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(prose(20))
    work = encoding.work

    def late(plan: Any, job: str) -> None:
        os.utime(tmp_path / "a.txt", ns=(1, 1))
        work(plan, job)

    monkeypatch.setattr(encoding, "work", late)
    with pytest.raises(DataError, match=r"a\.txt has changed since the encoding began"):
        encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def children() -> set[int]:
    """The processes that this thread has started."""
    mine = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    return set(map(int, Path(mine).read_text().split()))


def test_a_worker_that_is_killed_is_told_of(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """By the system, when the memory is full: the others end too, and what was done stays."""

    before = children()

    def kill_one(event: Event) -> None:
        for child in children() - before:
            os.kill(child, signal.SIGKILL)

    config = ShardConfig(task_bytes=1000)
    with pytest.raises(DataError, match=r"A worker was killed by signal 9 at (task|file)"):
        encode_shards([texts], tokenizer, tmp_path / "out", config, workers=2, listener=kill_one)
    assert work_folder(tmp_path / "out").exists()
    encode_shards([texts], tokenizer, tmp_path / "out", config, workers=2)
    assert_same([texts], tokenizer, tmp_path / "out", config)


def test_two_processes_do_not_work_in_one_folder(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text(prose(20))
    monkeypatch.setattr(encoding, "LOCK_SECONDS", 0.01)
    folder = work_folder(tmp_path / "out")
    folder.mkdir()
    with (
        FileLock(folder / "lock"),
        pytest.raises(StorageError, match=r"Another process works in .*out\.partial"),
    ):
        encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert not folder.exists()


def test_damaged_work_is_not_used(begun: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (begun / "plan.json").write_text("{")
    with pytest.raises(DataError, match=r"plan\.json is missing or damaged"):
        load_plan(begun)


def test_what_was_piped_is_not_asked_for_again_but_the_other_sources_are(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(prose(50).encode())))
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(prose(30, ord(name)))
    begin(["-", tmp_path / "a.txt"], tokenizer, work_folder(tmp_path / "out"), ShardConfig())
    for sources in (["-", tmp_path / "b.txt"], ["-"], [tmp_path / "a.txt", "-"]):
        with pytest.raises(DataError, match="was begun with another text"):
            encode_shards(sources, tokenizer, tmp_path / "out", workers=1)
    index = encode_shards(["-", tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert [Path(source.name).name for source in index.sources] == [STDIN, "a.txt"]


def test_what_another_has_made_meanwhile_is_not_made_again(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was at work when this one began, and ended before it gave up."""
    (tmp_path / "a.txt").write_text(prose(20))

    class Late(FileLock):
        def acquire(self, *args: Any, **options: Any) -> Any:
            (tmp_path / "out").mkdir(exist_ok=True)
            return super().acquire(*args, **options)

    monkeypatch.setattr(encoding, "FileLock", Late)
    with pytest.raises(StorageError, match="out exists already"):
        encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert not work_folder(tmp_path / "out").exists()


def test_a_folder_of_others_is_left_alone(tokenizer: Tokenizer, tmp_path: Path) -> None:
    mine = tmp_path / "out.partial" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text(prose(20))
    with pytest.raises(StorageError, match=r"out\.partial holds something else than a work"):
        encode_shards([mine], tokenizer, tmp_path / "out")
    assert mine.exists()


def test_half_copied_shards_of_a_killed_process_are_removed(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text(prose(20))
    for name in (".out.a1b2c3d4.tmp", ".out2.a1b2c3d4.tmp"):
        (tmp_path / name).mkdir()
    encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out2.a1b2c3d4.tmp",
        "a.txt",
        "out",
    ]


def test_ctrl_c_reaches_no_worker(texts: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A terminal sends it to the whole group of processes; this end ends the workers itself."""
    before, groups = children(), set[int]()

    def look(event: Event) -> None:
        groups.update(os.getpgid(child) for child in children() - before)

    config = ShardConfig(task_bytes=1000)
    encode_shards([texts], tokenizer, tmp_path / "out", config, workers=2, listener=look)
    assert len(groups) == 2 and os.getpgid(0) not in groups


def test_a_warning_of_several_workers_is_given_once(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import warnings\n"
        "from penjing.data.shards import task\n"
        "read = task._lines\n"
        "def warn(plan, part):\n"
        "    warnings.warn('this takes a while', stacklevel=1)\n"
        "    return read(plan, part)\n"
        "task._lines = warn\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    with pytest.warns(UserWarning, match="this takes a while") as given:
        encode_shards([texts], tokenizer, tmp_path / "out", ShardConfig(task_bytes=1000), workers=2)
    assert len(given) == 1
