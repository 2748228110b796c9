"""Where runs go."""

from pathlib import Path

import pytest

from penjing.cli.runs import run_directory
from penjing.core.errors import StorageError


def test_runs_are_numbered_when_the_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for expected in ("runs/tang", "runs/tang-2", "runs/tang-3"):
        path = run_directory("tang")
        assert path == Path(expected)
        path.mkdir(parents=True)
    assert run_directory("stdlib") == Path("runs/stdlib")


def test_an_explicit_place_must_be_free(tmp_path):
    assert run_directory("x", tmp_path / "new") == tmp_path / "new"
    with pytest.raises(StorageError, match="exists already"):
        run_directory("x", tmp_path)
