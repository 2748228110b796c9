"""Shards hold what reading, splitting and encoding the text in memory gives, to the last id."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.data.shards.conftest import prose

from penjing.core.errors import ConfigError, DataError, StorageError
from penjing.core.events import Event
from penjing.data.batches import encode_documents
from penjing.data.documents import split_documents
from penjing.data.hashing import text_hashes
from penjing.data.readers import read_documents
from penjing.data.shards import encode as encoding
from penjing.data.shards import stretches
from penjing.data.shards.encode import encode_shards, work_folder
from penjing.data.shards.plan import ShardConfig, load_plan
from penjing.data.shards.reading import Shards
from penjing.data.shards.task import is_done
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


def assert_same(
    sources: Sequence[str | Path], tokenizer: Tokenizer, out: Path, config: ShardConfig
) -> None:
    """The shards in `out` against the way through memory."""
    shards = Shards(out)
    shards.verify()
    split = split_documents(
        read_documents(sources),
        validation_fraction=config.validation_fraction,
        exact=config.exact_split,
    )
    parts = (
        (split.train, shards.train, shards.index.train),
        (split.validation, shards.validation, shards.index.validation),
    )
    for documents, ids, index in parts:
        expected = encode_documents(documents, tokenizer)
        assert ids.read(0, len(ids)).tolist() == expected.ids.tolist()
        assert (index.bytes, index.documents) == (expected.n_bytes, expected.n_documents)
        begin = 0
        for document, row in zip(documents, shards.documents(index), strict=True):
            text = tokenizer.decode(ids.read(begin, int(row["end"])).tolist())
            assert text == document.text
            assert row["n_bytes"] == len(text.encode())
            core = row["core"].tobytes()
            assert core in (text_hashes(document.text)[1], bytes(16))
            begin = int(row["end"])
        assert begin == len(ids)
    assert shards.index.duplicates == split.duplicates
    kept = split.train + split.validation
    assert shards.index.characters == sum(len(document.text) for document in kept)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"task_bytes": 3000, "shard_tokens": 1000},
        {"task_bytes": 300, "validation_fraction": 0.3},
        {"validation_fraction": 0},
    ],
)
def test_shards_are_the_text(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path, options: dict[str, Any]
) -> None:
    config = ShardConfig(**options)
    encode_shards([texts], tokenizer, tmp_path / "out", config, workers=1)
    assert_same([texts], tokenizer, tmp_path / "out", config)
    assert not work_folder(tmp_path / "out").exists()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("task_bytes", [500, 10**6])
def test_one_long_text_is_cut_where_its_split_wants_it(
    tokenizer: Tokenizer, tmp_path: Path, exact: bool, task_bytes: int
) -> None:
    (tmp_path / "one.txt").write_text(prose(300))
    config = ShardConfig(0.1, exact, task_bytes, shard_tokens=999)
    encode_shards([tmp_path / "one.txt"], tokenizer, tmp_path / "out", config, workers=1)
    assert_same([tmp_path / "one.txt"], tokenizer, tmp_path / "out", config)
    assert len(Shards(tmp_path / "out").index.train.shards) > 5


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "Zb ", "\n", "\r\n", " ", "，", "霜", "。\n", "😀", "'s", "1"])),
    st.integers(1, 40),
    st.sampled_from(["bpe", "char", "byte"]),
)
def test_any_text_may_be_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], size: int, kind: Any
) -> None:
    text = "".join(words) * 5
    assume(len(text.strip().encode()) > 80)
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.txt").write_bytes(text.encode())
    tokenizer = _kinds(kind)
    config = ShardConfig(0.2, task_bytes=size)
    encode_shards([folder / "a.txt"], tokenizer, folder / "out", config, workers=1)
    assert_same([folder / "a.txt"], tokenizer, folder / "out", config)


_MADE: dict[str, Tokenizer] = {}


def _kinds(kind: Any) -> Tokenizer:
    if kind not in _MADE:
        text = ["ab Zb 's 1 霜，。 😀\n\r\n"] * 4
        _MADE[kind] = train_tokenizer(text, TokenizerConfig(kind=kind, vocab_size=270))
    return _MADE[kind]


def test_several_workers_give_the_same_bytes(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = ShardConfig(task_bytes=2000)
    told: list[Event] = []
    encode_shards([texts], tokenizer, tmp_path / "two", config, workers=2, listener=told.append)
    encode_shards([texts], tokenizer, tmp_path / "one", config, workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    shares = [event.data["done"] for event in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_large_vocabularies_have_four_bytes_an_id(tmp_path: Path) -> None:
    characters = "".join(map(chr, range(0x4E00, 0x9FA5))) + "".join(
        map(chr, range(0x20000, 0x20000 + 50_000))
    )
    tokenizer = train_tokenizer([characters], TokenizerConfig(kind="char"))
    assert tokenizer.vocab_size > 2**16
    (tmp_path / "a.txt").write_text(characters, encoding="utf-8")
    index = encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    assert index.dtype == "uint32"
    assert_same([tmp_path / "a.txt"], tokenizer, tmp_path / "out", ShardConfig())


def test_what_is_piped_is_kept_until_it_is_encoded(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = prose(50)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    encode_shards(["-"], tokenizer, tmp_path / "out", workers=1)
    (tmp_path / "same.txt").write_text(text)
    assert_same([tmp_path / "same.txt"], tokenizer, tmp_path / "out", ShardConfig())


def test_memory_does_not_grow_with_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of Python and NumPy; what `tokenizers` takes, the benchmark measures."""
    monkeypatch.setattr(stretches, "HEAD", 2**14)
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    peaks = []
    for n in (8, 16):
        (tmp_path / f"{n}.txt").write_text(prose(4_000) * n)
        config = ShardConfig(task_bytes=2**16)
        tracemalloc.start()
        encode_shards([tmp_path / f"{n}.txt"], tokenizer, tmp_path / f"{n}", config, workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0], peaks


# --- killed, interrupted, changed -------------------------------------------------------------


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


@pytest.mark.parametrize("change", ["text", "tokenizer", "settings"])
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


def test_a_worker_that_is_killed_is_told_of(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """By the system, when the memory is full: the others end too, and what was done stays."""

    def kill_one(event: Event) -> None:
        mine = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
        for child in Path(mine).read_text().split():
            os.kill(int(child), signal.SIGKILL)

    config = ShardConfig(task_bytes=1000)
    with pytest.raises(DataError, match=r"A worker was killed by signal 9 at (task|file)"):
        encode_shards([texts], tokenizer, tmp_path / "out", config, workers=2, listener=kill_one)
    assert work_folder(tmp_path / "out").exists()
    encode_shards([texts], tokenizer, tmp_path / "out", config, workers=2)
    assert_same([texts], tokenizer, tmp_path / "out", config)


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stray_byte_in_a_large_text_has_its_place(
    tokenizer: Tokenizer, tmp_path: Path, workers: int
) -> None:
    raw = bytearray(prose(400).encode())
    at = raw.index(b"\n", 15_000) + 1
    raw[at:at] = b"\xff"
    (tmp_path / "bad.txt").write_bytes(bytes(raw))
    line = raw[:at].count(b"\n") + 1
    said = rf"bad\.txt, line {line}, byte {at}: byte 0xFF is not UTF-8"
    config = ShardConfig(task_bytes=4000)
    with pytest.raises(DataError, match=said):
        encode_shards([tmp_path / "bad.txt"], tokenizer, tmp_path / "out", config, workers=workers)


def test_a_damaged_row_of_a_large_file_has_its_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    rows = ['{"text": "the cat sat on the mat"}\n'] * 300
    rows[217] = '{"text": broken}\n'
    (tmp_path / "rows.jsonl").write_text("".join(rows))
    with pytest.raises(DataError, match=r"rows\.jsonl, line 218: not JSON"):
        config = ShardConfig(task_bytes=1000)
        encode_shards([tmp_path / "rows.jsonl"], tokenizer, tmp_path / "out", config, workers=1)


def test_zero_bytes_empty_files_and_little_text(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    (tmp_path / "zero.txt").write_bytes(prose(100).encode() + b"\0" + prose(100).encode())
    for head in (stretches.HEAD, 500):  # seen at once, or when the reading comes to it
        monkeypatch.setattr(stretches, "HEAD", head)
        with pytest.raises(DataError, match=r"zero\.txt, line 101, byte 6121: "):
            encode_shards([tmp_path / "zero.txt"], tokenizer, out, ShardConfig(task_bytes=900))
        shutil.rmtree(work_folder(out), ignore_errors=True)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match=r"empty\.txt holds no text"):
        encode_shards([tmp_path / "empty.txt"], tokenizer, tmp_path / "out2")
    assert not work_folder(tmp_path / "out2").exists()
    (tmp_path / "little.txt").write_text("so little")
    with pytest.raises(DataError, match="too little text: 9 bytes in 1 documents"):
        encode_shards([tmp_path / "little.txt"], tokenizer, tmp_path / "out3", workers=1)
    with pytest.raises(DataError, match="No text was named"):
        encode_shards([], tokenizer, tmp_path / "out4")


def test_settings_and_places_that_cannot_work(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(9))
    for config, said in (
        (ShardConfig(0.6), "validation_fraction must be from 0 to 0.5, got 0.6"),
        (ShardConfig(task_bytes=0), "task_bytes must be at least 1, got 0"),
    ):
        with pytest.raises(ConfigError, match=said):
            encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", config)
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match="out exists already"):
        encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out")


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


def test_the_source_hash_is_that_of_the_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(100))
    wanted = subprocess.run(
        ["sha256sum", tmp_path / "a.txt"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    for size in (10**6, 1000):
        config = ShardConfig(task_bytes=size)
        out = tmp_path / f"out{size}"
        index = encode_shards([tmp_path / "a.txt"], tokenizer, out, config, workers=1)
        assert [source.sha256 for source in index.sources] == [wanted]
        assert index.tokenizer == tokenizer.fingerprint
    assert np.dtype(index.id_type).itemsize == 2
