"""Shards as they are read: any window across any files; and each sort of damage, with its place."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.shards.conftest import prose

from penjing.core.errors import DataError
from penjing.data.batches import RandomWindows, StoredIds, Tokens, windows
from penjing.data.shards import index as indexing
from penjing.data.shards import reading, writing
from penjing.data.shards.encode import encode_shards
from penjing.data.shards.plan import ShardConfig
from penjing.data.shards.reading import ShardedIds, Shards
from penjing.data.shards.selection import SelectedIds
from penjing.data.shards.task import PIECE
from penjing.data.shards.writing import SplitWriter
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


def stored(folder: Path, ids: list[int], shard_tokens: int) -> ShardedIds:
    """Ids in files of `shard_tokens` each, written in two goes."""
    half = len(ids) // 2
    with SplitWriter(folder, "train", shard_tokens) as writer:
        for part in (ids[:half], ids[half:]):
            pieces = np.zeros(1, dtype=PIECE)
            pieces["end"], pieces["n_bytes"] = len(part), 2 * len(part)
            writer.write(np.array(part, dtype="<u2"), pieces)
        split = writer.index()
    assert (split.tokens, split.bytes, split.documents) == (len(ids), 2 * len(ids), 2)
    return ShardedIds(folder, split, np.dtype("<u2"))


@given(st.lists(st.integers(0, 65535), max_size=60), st.integers(1, 9), st.data())
def test_any_part_of_any_files(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], size: int, data: st.DataObject
) -> None:
    found = StoredIds(stored(tmp_path_factory.mktemp("ids"), ids, size))
    expected = torch.tensor(ids, dtype=torch.int64)
    assert len(found) == len(ids)
    begin, end = data.draw(st.integers(-70, 70)), data.draw(st.integers(-70, 70))
    assert torch.equal(found[begin:end], expected[begin:end])
    assert found[begin:end].dtype == torch.int64
    if ids:
        places = data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=4, max_size=4))
        at = torch.tensor(places).view(2, 2)
        assert torch.equal(found[at], expected[at])


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1), st.data())
def test_some_documents_as_if_there_were_no_others(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bool]], data: st.DataObject
) -> None:
    lengths, chosen = (np.array(column) for column in zip(*rows, strict=True))
    total, ends = int(lengths.sum()), np.cumsum(lengths)
    whole = stored(tmp_path_factory.mktemp("ids"), list(range(total)), 7)
    found = StoredIds(SelectedIds(whole, ends, chosen))
    expected = torch.arange(total)[torch.from_numpy(np.repeat(chosen, lengths))]
    assert torch.equal(found[:], expected)
    begin, end = (data.draw(st.integers(-total, total + 5)) for _ in range(2))
    assert torch.equal(found[begin:end], expected[begin:end])
    if len(expected):
        at = torch.tensor(data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=2)))
        assert torch.equal(found[at], expected[at])


@given(st.integers(20, 90), st.integers(1, 8), st.integers(1, 5), st.integers(7, 40))
def test_the_same_batches_from_shards_and_from_memory(
    tmp_path_factory: pytest.TempPathFactory, n: int, context: int, batch: int, size: int
) -> None:
    ids = list(range(n))
    both = [
        Tokens(torch.tensor(ids), n, 1),
        Tokens(StoredIds(stored(tmp_path_factory.mktemp("ids"), ids, size)), n, 1),
    ]
    dealt = [RandomWindows(each, batch, context, torch.Generator().manual_seed(3)) for each in both]
    for _ in range(5):
        memory, disk = (source.next() for source in dealt)
        assert torch.equal(memory.inputs, disk.inputs)
        assert torch.equal(memory.targets, disk.targets)
    for memory, disk in zip(*(windows(each, context, batch) for each in both), strict=True):
        assert torch.equal(memory.inputs, disk.inputs)
        assert torch.equal(memory.targets, disk.targets)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("good")
    (folder / "a.txt").write_text(prose(200))
    config = ShardConfig(0.1, shard_tokens=2000)
    encode_shards([folder / "a.txt"], tokenizer, folder / "shards", config, workers=1)
    return folder / "shards"


@pytest.fixture
def shards(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "shards"))


def test_what_is_whole_is_verified(shards: Path, tokenizer: Tokenizer) -> None:
    found = Shards(shards)
    found.verify()
    assert found.tokenizer.fingerprint == tokenizer.fingerprint
    assert len(found.train.files) > 1
    rows = found.documents(found.index.train)
    assert found.index.train.bytes == rows["n_bytes"].sum()
    assert sorted(path.name for path in shards.iterdir()) == sorted(
        [
            "index.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "train-documents.bin",
            "validation-documents.bin",
            "validation-00000.bin",
            *(path.name for path in found.train.files),
        ]
    )


@pytest.mark.parametrize("name", ["train-00001.bin", "validation-documents.bin"])
def test_a_changed_byte_has_its_place(
    shards: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with (shards / name).open("rb+") as file:
        file.seek(17)
        byte = file.read(1)
        file.seek(17)
        file.write(bytes([byte[0] ^ 4]))
    size = (shards / name).stat().st_size
    with pytest.raises(DataError, match=rf"{name} is damaged between byte 0 and byte {size:,}"):
        Shards(shards).verify()


def test_the_block_of_a_changed_byte_is_named(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (indexing, writing, reading):
        monkeypatch.setattr(module, "BLOCK", 100)
    (tmp_path / "a.txt").write_text(prose(50))
    encode_shards([tmp_path / "a.txt"], tokenizer, tmp_path / "out", workers=1)
    Shards(tmp_path / "out").verify()
    with (tmp_path / "out" / "train-00000.bin").open("rb+") as file:
        file.seek(523)
        file.write(b"\xff\xff")
    with pytest.raises(DataError, match=r"damaged between byte 500 and byte 600"):
        Shards(tmp_path / "out").verify()


def test_a_shard_that_is_cut_short_or_gone(shards: Path) -> None:
    path = shards / "train-00000.bin"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=r"train-00000\.bin has 3,997 bytes, and the index says 4,"):
        Shards(shards)
    path.unlink()
    with pytest.raises(DataError, match=r"Cannot read the shard .*train-00000\.bin: No such file"):
        Shards(shards)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: "{", "index.json is missing or damaged"),
        (lambda index: index | {"format": "other"}, "is no index of shards"),
        (lambda index: index | {"version": 9}, "version 9, and this program knows 3"),
        (lambda index: index | {"train": 3}, "index is damaged"),
        (lambda index: index | {"dtype": "float64"}, "'float64' is not one of the choices"),
        (lambda index: {k: index[k] for k in index if k != "train"}, "index is damaged"),
        (lambda _: [1], "is no index of shards"),
        (lambda _: "[" * 100_000, "index.json is missing or damaged"),
        (lambda index: index | {"characters": 5}, "checksum is not that of its content"),
    ],
)
def test_a_damaged_index_is_told(shards: Path, change, said: str) -> None:
    path = shards / "index.json"
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(DataError, match=said):
        Shards(shards)


def test_no_byte_of_the_index_changes_unseen(shards: Path) -> None:
    path = shards / "index.json"
    raw = path.read_bytes()
    for at in range(0, len(raw), 5):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(DataError):
            Shards(shards)
    path.write_bytes(b"\n " + raw)  # another layout is the same index
    Shards(shards)


def test_no_byte_of_the_files_changes_unseen(shards: Path) -> None:
    for path in sorted(shards.glob("*.bin")):
        raw = path.read_bytes()
        for at in (0, len(raw) // 3, len(raw) - 1):
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 128]) + raw[at + 1 :])
            with pytest.raises(DataError, match=f"{path.name} is damaged between"):
                Shards(shards).verify()
        path.write_bytes(raw)
    Shards(shards).verify()


def test_another_tokenizer_in_the_folder_is_told(shards: Path) -> None:
    train_tokenizer([], TokenizerConfig(kind="byte")).save(shards)
    with pytest.raises(DataError, match=r"tokenizer\.json is not the tokenizer that the shards"):
        _ = Shards(shards).tokenizer


def test_other_settings_of_the_tokenizer_are_told(shards: Path) -> None:
    path = shards / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(settings), encoding="utf-8")  # another layout is the same
    Shards(shards).verify()
    for changed in ({**settings, "chat_template": "{{ messages }}"}, {}):
        path.write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(DataError, match=r"tokenizer_config\.json says something else than"):
            _ = Shards(shards).tokenizer
        with pytest.raises(DataError, match=r"tokenizer_config\.json says something else than"):
            Shards(shards).verify()
