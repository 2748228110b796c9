"""Whole or not at all."""

import errno
import json
import math
from pathlib import Path

import pytest

from penjing.core.errors import StorageError
from penjing.core.files import (
    atomic_directory,
    atomic_file,
    check_free,
    storage_errors,
    write_json,
)


def test_a_directory_appears_only_when_done(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with atomic_directory(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_all_is_as_before(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("kept")
    with pytest.raises(error), atomic_directory(target, replace=True) as folder:
        (folder / "new").write_text("half")
        raise error
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "old"]


def test_replacing_swaps_the_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for name in ("first", "second"):
        with atomic_directory(target, replace=True) as folder:
            (folder / name).write_text(name)
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "second"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(StorageError, match="exists already"),
        atomic_directory(tmp_path / "model"),
    ):
        pass


def test_a_file_appears_only_when_done(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_text("old")
    with pytest.raises(ValueError), atomic_file(target) as scratch:
        scratch.write_text("half")
        raise ValueError
    assert target.read_text() == "old"
    with atomic_file(target) as scratch:
        scratch.write_text("new")
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="disk is full"),
        atomic_directory(tmp_path / "model") as folder,
    ):
        (folder / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="a file stands where a folder is needed"),
        atomic_directory(tmp_path / "file" / "model"),
    ):
        pass


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError), storage_errors(tmp_path):
        raise ChildProcessError(errno.ECHILD, "no child")


def test_a_place_is_looked_at_early(tmp_path: Path) -> None:
    check_free(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for taken in ("file", "link"):
        with pytest.raises(StorageError, match="exists already"):
            check_free(tmp_path / taken)
    with pytest.raises(StorageError, match="no folder that you may write to"):
        check_free(tmp_path / "file" / "model")
    with pytest.raises(StorageError, match="no folder that you may write to"):
        check_free(Path("/proc/self/model") if Path("/proc/self").exists() else Path("/x/model"))


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    other = ".model.v2.abcd1234.old"  # of a target named model.v2
    for name in (".model.abcd1234.old", other):
        (tmp_path / name).mkdir()
    with atomic_directory(tmp_path / "model"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [other, "model"]


def test_a_name_with_pattern_characters_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        with atomic_directory(tmp_path / "my[1]model", replace=True):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["my[1]model"]


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="name is too long"):
        check_free(tmp_path / ("x" * 300))


def test_a_full_disk_within_a_new_directory_names_the_directory(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with (
        pytest.raises(StorageError, match=rf"^Cannot write {target}: the disk is full"),
        atomic_directory(target) as folder,
        atomic_file(folder / "a.json"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_figures_are_json_that_every_program_reads(tmp_path: Path) -> None:
    figures = {"loss": math.nan, "rows": (1, -math.inf, 2.5), "name": "盆\udcff景", "none": None}
    write_json(tmp_path / "new" / "figures.json", figures)
    text = (tmp_path / "new" / "figures.json").read_text(encoding="utf-8")
    assert "盆" in text and text.endswith("}\n")
    read = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    assert read == {**figures, "loss": None, "rows": [1, None, 2.5]}
