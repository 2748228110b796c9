"""Code that is kept on disk is found again until one of its sources changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import penjing

INNER = """
from penjing.compiling.functions import inlined
ONE = {one}

@inlined
def plus(x):
    return x + ONE
"""
OUTER = """
from penjing.compiling.functions import entry
from penjing.data.inner import plus

@entry
def twice_plus(x):
    return 2 * plus(x)
"""
PROGRAM = """
from numba.core import event
from penjing.data.outer import twice_plus
with event.install_recorder("numba:compile") as compiled:
    print(twice_plus(3), len(compiled.buffer) > 0)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package penjing that has nothing but how functions are compiled."""
    copy = tmp_path / "penjing"
    (copy / "compiling").mkdir(parents=True)
    (copy / "__init__.py").touch()
    for source in (Path(penjing.__file__).parent / "compiling").glob("*.py"):
        (copy / "compiling" / source.name).write_bytes(source.read_bytes())
    (copy / "data").mkdir()
    (copy / "data" / "outer.py").write_text(OUTER)
    (copy / "data" / "inner.py").write_text(INNER.format(one=1))
    return copy


def result(package: Path) -> str:
    """What the function gives in a new process, and whether it was compiled there."""
    environment = os.environ | {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": ""}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_changed_module_is_compiled_again(package: Path) -> None:
    assert result(package) == "8 True"
    assert result(package) == "8 False"
    (package / "data" / "inner.py").write_text(
        INNER.format(one=2)
    )  # the entry's own module is as before
    assert result(package) == "10 True"
    assert result(package) == "10 False"
    (package / "data" / "elsewhere.py").write_text("ONE = 1")
    assert result(package) == "10 False"
    (package / "compiling" / "functions.py").open("a").write("# changed\n")
    assert result(package) == "10 True"


def test_code_that_was_cut_off_is_made_anew(package: Path) -> None:
    assert result(package) == "8 True"
    for ending in ("nbi", "nbc"):
        for kept in package.rglob(f"*.{ending}"):
            kept.write_bytes(kept.read_bytes()[:20])
        assert result(package) == "8 True"
        assert result(package) == "8 False"
