"""What this machine has, without torch."""

from pathlib import Path

import pytest

from penjing.model.machine import available_processors, may_have_gpu


def test_some_processors() -> None:
    assert available_processors() >= 1


@pytest.mark.parametrize("file", ["nvidiactl", "dxg", "kfd"])
def test_a_gpu_is_looked_for_where_its_driver_has_a_file(file: str, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    assert not may_have_gpu(root=tmp_path, platform="linux")
    (tmp_path / "dev" / file).touch()
    assert may_have_gpu(root=tmp_path, platform="linux")
    assert not may_have_gpu(root=tmp_path, platform="darwin")


def test_elsewhere_only_torch_knows(tmp_path: Path) -> None:
    assert may_have_gpu(root=tmp_path, platform="win32")
