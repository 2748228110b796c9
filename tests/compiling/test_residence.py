"""The compiler takes no memory while nothing is compiled, and is there again when something is."""

import subprocess
import sys

import pytest

CHILD = """
from pathlib import Path
import numba
from penjing.compiling.residence import set_compiler_aside

def of_files():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0]) / 1024

def add(a):
    return a + 1

assert numba.njit(add)(1) == 2
before = of_files()
set_compiler_aside()
between = of_files()
assert numba.njit(add)(1.5) == 2.5
print(before, between, of_files())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can be asked")
def test_the_compiler_leaves_memory_and_comes_back() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    before, between, after = map(float, done.stdout.split())
    assert between < before - 20 and after > between + 5  # MiB
