"""Shards hold what reading, splitting and encoding the text in memory gives, to the last id."""

import io
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.data.shards.comparing import assert_same, contents
from tests.data.shards.conftest import prose

from penjing.core.errors import ConfigError, DataError, StorageError
from penjing.core.events import Event
from penjing.data.shards import stretches
from penjing.data.shards.encode import encode_shards, work_folder
from penjing.data.shards.plan import ShardConfig, make_plan
from penjing.data.shards.reading import Shards
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


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


@pytest.mark.parametrize("n_bytes", [100, 10**7])
def test_for_much_text_the_compiled_encoder_begins_at_once(
    tokenizer: Tokenizer, tmp_path: Path, n_bytes: int
) -> None:
    (tmp_path / "a.txt").write_bytes(b"the cat " * (n_bytes // 8))
    plan = make_plan([tmp_path / "a.txt"], tokenizer, tmp_path / "work", ShardConfig())
    assert plan.tokenizer._bulk.wants(10**5) == (n_bytes > 10**6)
    assert not tokenizer._bulk.wants(10**5)


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
    said = rf"bad\.txt, line {line}, byte {at}: byte 0xFF "
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
