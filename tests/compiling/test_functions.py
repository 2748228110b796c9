"""Compiled code is kept: found again by another process, made anew when it is damaged or changed.

Numba's own names that this rests on are not for the public, so they are looked for here by name.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import caching, runtime

MODULE = """
import numpy as np
from penjing.compiling.functions import entry


@entry
def squares(n):
    found = np.empty(n, np.int64)  # allocates: needs Numba's helpers in C
    for i in range(n):
        found[i] = i * i
    return found
"""
CALLER = """
from kept import squares

print(squares(4).tolist(), sum(squares.stats.cache_hits.values()))
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "call.py").write_text(CALLER)
    file = tmp_path / "kept.py"
    file.write_text(MODULE)
    return file


def called(module: Path) -> str:
    """What a new process finds, and how often it found code on disk."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(module.parent / "cache")}
    command = [sys.executable, str(module.with_name("call.py"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_another_process_finds_the_code(module: Path) -> None:
    assert called(module) == "[0, 1, 4, 9] 0"
    os.utime(module, (1, 1))  # the source counts, not its date
    assert called(module) == "[0, 1, 4, 9] 1"
    module.write_text(MODULE.replace("i * i", "i + i"))
    os.utime(module, (1, 1))
    assert called(module) == "[0, 2, 4, 6] 0"


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_file_that_was_cut_off_is_made_anew(module: Path, kind: str) -> None:
    assert called(module) == "[0, 1, 4, 9] 0"
    (file,) = module.parent.rglob(f"*.{kind}")
    os.truncate(file, file.stat().st_size // 2)
    assert called(module) == "[0, 1, 4, 9] 0"
    assert called(module) == "[0, 1, 4, 9] 1"


def test_numba_has_the_names_that_keeping_code_rests_on() -> None:
    """They must be there in every version that pyproject.toml allows."""
    cache = caching.FunctionCache(called)
    assert "_source_stamp" in vars(cache._cache_file)
    assert callable(cache._load_overload)
    assert callable(cache._guard_against_spurious_io_errors)
    assert {"Allocate", "Free"} <= set(runtime._nrt_python.c_helpers)
